import type { ApprovalCard } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { toCardLines } from "#/cli/approval_prompt.ts";
import { toMatches } from "#/cli/tui_commands.ts";
import { layoutDraft } from "#/cli/tui_editor.ts";
import { toSeconds, toUsage } from "#/cli/tui_events.ts";
import { peekMarkdown } from "#/cli/tui_markdown.ts";
import type { LiveTurn, TuiState } from "#/cli/tui_state.ts";
import { clip, type Line, type Look, span, widthOf, wrapLine } from "#/cli/tui_text.ts";

/** The part of the screen that changes: everything above it is the terminal's own scrollback. */
export interface ScreenLayout {
  readonly lines: readonly Line[];
  /** Where the cursor stands: column and line, from 0. */
  readonly cursor: { readonly x: number; readonly y: number };
}

/** A terminal that says that it is narrower is drawn as one of this many columns. */
const COLUMNS_MIN = 4;
const DIM: Look = { dim: true };
const CARD: Look = { color: "yellow" };
/** Rows that a card leaves to the message, the status line and a hint. */
const OTHER_ROWS = 5;

/** The live part of the screen: always less than the terminal's rows, so that drawing it again never scrolls. Pure. */
export function layoutScreen(state: TuiState): ScreenLayout {
  const width = Math.max(COLUMNS_MIN, state.width);
  const rows = Math.max(4, state.height - 1);
  const card = toCard(state, width);
  const below = toBelow(state, width);
  const draft = layoutDraft(
    state.draft,
    width - 2,
    Math.max(1, Math.min(LIMITS.tuiDraftRowsMax, rows - 3 - below.length)),
  );
  const mark = state.focus === undefined ? span("› ", { color: "magenta", bold: true }) : span("· ", DIM);
  const input = draft.lines.map((text, at): Line => [at === 0 ? mark : span("  "), span(text)]);
  const fixed = [[span(clip(toStatusLine(state, width), width), DIM)], ...input, ...below];
  const room = Math.max(0, rows - fixed.length);
  const shownCard = card.slice(0, room);
  const body = toBody(state, width, room - shownCard.length);
  const lines = [...body, ...shownCard, ...fixed].slice(-rows).map((line) => wrapLine(line, width)[0]!);
  const y = lines.length - below.length - input.length + draft.y;
  return { lines, cursor: { x: Math.min(width - 1, 2 + draft.x), y: Math.max(0, y) } };
}

/** True when the terminal shows all of a card. Pure. */
export function fitsCard(card: ApprovalCard, state: Pick<TuiState, "width" | "height" | "now" | "cards">): boolean {
  return toCardRows(card, state, Math.max(COLUMNS_MIN, state.width)).length + OTHER_ROWS <= state.height;
}

/** What the running turn says and does; of a long text its end. */
function toBody(state: TuiState, width: number, room: number): Line[] {
  const { live } = state;
  const work = [...toWork(state, width), ...toWaiting(state, width)];
  const text = live === undefined ? [] : peekMarkdown(live.markdown, width);
  const left = Math.max(0, room - work.length - 1);
  const shown = text.length <= left
    ? text
    : left < 2
    ? []
    : [[span(`… ${text.length - left + 1} lines above`, DIM)], ...text.slice(1 - left)];
  const body: Line[] = [...shown, ...work];
  return body.length === 0 || room < 2 ? [] : [...body, []].slice(-room);
}

function toWork(state: TuiState, width: number): Line[] {
  const { live, now } = state;
  if (live === undefined) return [];
  const shown = live.tools.slice(0, LIMITS.tuiToolsMax);
  const more = live.tools.length - shown.length;
  const lines = shown.flatMap((tool): Line[] => {
    const took = ` · ${toSeconds(now - tool.since)}`;
    const output = tool.output?.map((text): Line => [span(clip(span(`  │ ${text}`).text, width), DIM)]) ?? [];
    return [[span(clip(tool.text, width - took.length)), span(took, DIM)], ...output];
  });
  if (more > 0) lines.push([span(`· and ${more} more`, DIM)]);
  if (!state.gap && (lines.length > 0 || live.said !== "")) return lines;
  const what = state.gap ? "some of it was missed, and comes at its end" : live.isThinking ? "thinking" : "working";
  return [...lines, [span(clip(`· ${what} · ${toSeconds(now - live.since)}`, width), DIM)]];
}

function toWaiting({ sent, live }: TuiState, width: number): Line[] {
  const waiting = sent.filter(({ turn }) => turn !== live?.turn);
  const lines = waiting.slice(0, 2).map(({ prompt }): Line => [
    span(clip(`↳ ${live === undefined ? "sent" : "waits"}: ${prompt.replace(/\s+/g, " ")}`, width), DIM),
  ]);
  return waiting.length > 2 ? [...lines, [span(`  and ${waiting.length - 2} more`, DIM)]] : lines;
}

function toCard(state: TuiState, width: number): Line[] {
  const card = state.cards[0];
  if (card === undefined) {
    const count = state.cardsElsewhere;
    return count === 0 ? [] : [[span(clip(`? ${count} calls of other sessions wait: oxydra approvals`, width), CARD)]];
  }
  if (fitsCard(card, state)) return toCardRows(card, state, width, state.focus === card.id);
  const what = `${card.tool.name} waits for your answer; this terminal is too small for its card`;
  return wrapLine([span("▌ ", CARD), span(what, { bold: true })], width, [span("▌ ", CARD)]);
}

function toCardRows(
  card: ApprovalCard,
  { now, cards }: Pick<TuiState, "now" | "cards">,
  width: number,
  isFocused: boolean = false,
): Line[] {
  const bar = [span("▌ ", CARD)];
  const [first = "", ...rest] = toCardLines(card, now);
  const count = cards.length > 1 ? ` (1 of ${cards.length})` : "";
  const row = (text: string, look: Look) => wrapLine([...bar, span(text, look)], width, [...bar, span("    ")]);
  const left = toSeconds(card.expiresAt - now);
  const keys = `y once · s this session · u an hour · n no · N never · Tab back · a no in ${left}`;
  return [
    ...row(`${first}${count}`, { bold: true }),
    ...rest.slice(0, -1).flatMap((text) => row(text, {})),
    // How long is said below, to the second.
    ...row((rest.at(-1)?.trim() ?? "").replace(/; without .*/, ")"), DIM),
    ...row(isFocused ? keys : `Tab, then a key, answers it · a no in ${left}`, isFocused ? { inverse: true } : CARD),
  ];
}

function toStatusLine(state: TuiState, width: number): string {
  const { link, live, now } = state;
  const on = link.kind === "on";
  const wait = on ? 0 : Math.max(0, Math.ceil((link.nextAt - now) / 1_000));
  const away = wait > 0
    ? `no gateway; next try in ${wait} s`
    : state.session === ""
    ? "connecting"
    : "no gateway; trying";
  const what = on ? (live === undefined ? "" : toUsage(live, now)) : `· ${away}`;
  // As they are shown: what is written out is longer.
  const [model, id] = [span(state.model).text, clip(span(state.session).text, 40)];
  const session = id === "" ? "" : `· ${id}`;
  // What is known already goes first where not all of it fits.
  const parts = [[model, session, what], [session.replace("· ", ""), what], [what.replace("· ", "")]];
  const texts = parts.map((each) => `── ${each.filter((part) => part !== "").join(" ")} `);
  const text = texts.find((each) => widthOf(each) <= width) ?? texts.at(-1)!;
  return text + "─".repeat(Math.max(0, Math.min(width, 100) - widthOf(text)));
}

/** Under the message: what went wrong, or the commands that it may become. */
function toBelow({ hint, draft }: TuiState, width: number): Line[] {
  if (hint !== "") return wrapLine([span(hint, { color: "yellow" })], width).slice(0, 2);
  return toMatches(draft.text).slice(0, 8).map(({ name, args, about }) => {
    return [span(clip(`  ${`${name} ${args}`.padEnd(27)} ${about}`, width), DIM)];
  });
}

/** True while something on the screen changes by itself: time that runs. Pure. */
export function isTicking(state: TuiState): boolean {
  return (state.live satisfies LiveTurn | undefined) !== undefined || state.cards.length > 0 ||
    state.link.kind === "off" || state.sent.length > 0;
}
