import type { ApprovalCard } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { RENDER_START, renderEvent, toOutputLines } from "#/cli/render.ts";
import { endMarkdown, feedMarkdown, MARKDOWN_START } from "#/cli/tui_markdown.ts";
import { type LiveTurn, print, startTurn, type Step, toSend, type TuiState, withoutLive } from "#/cli/tui_state.ts";
import { clip, type Line, type Look, span, wrapLine } from "#/cli/tui_text.ts";

const DIM: Look = { dim: true };

/**
 * What one event of this session adds to the terminal. A recorded event that was shown is not shown again; when one is missing, this turn
 * is asked for again at its end. Pure.
 */
export function applyEvent(state: TuiState, event: SessionEvent, turn: string): Step {
  if (!isStored(event)) return { state: state.gap ? state : applyShown(state, event, turn), effects: [] };
  const expected = state.seq === undefined ? event.seq : state.seq + 1;
  if (event.seq < expected) return { state: isTurnEnd(event) ? forget(state, turn) : state, effects: [] };
  const sent = state.sent.find((each) => each.turn === turn);
  if (event.seq > expected && sent !== undefined) {
    if (!isTurnEnd(event)) return { state: { ...state, gap: true }, effects: [] };
    return { state: { ...state, gap: false }, effects: [toSend(sent)] };
  }
  const known = event.seq === expected
    ? state
    : print(state, [span("· what others did here meanwhile is not shown", DIM)]);
  const shown = applyShown({ ...known, seq: event.seq, gap: false }, event, turn);
  const asksForCards = event.type === "approval_asked" || event.type === "approval_answered" || isTurnEnd(event);
  return {
    state: isTurnEnd(event) ? forget(shown, turn) : shown,
    effects: asksForCards ? [{ type: "read-cards" }] : [],
  };
}

function forget(state: TuiState, turn: string): TuiState {
  return { ...state, sent: state.sent.filter((each) => each.turn !== turn) };
}

/** The text that the running model call has said, as somebody who knows all of it tells: the rest of it is shown. Pure. */
export function catchSaid(state: TuiState, turn: string, text: string): TuiState {
  const live = liveOf(state, turn);
  const lost = !text.startsWith(live.said);
  const note = [span("· the reply again, from its start: a part of it was lost on the way", DIM)];
  const start = lost ? print(state, ...endMarkdown(live.markdown, state.width), note) : state;
  const before = lost ? { ...live, markdown: MARKDOWN_START } : live;
  return say(start, before, lost ? text : text.slice(live.said.length), text);
}

function say(state: TuiState, live: LiveTurn, more: string, said: string): TuiState {
  const fed = feedMarkdown(live.markdown, more, state.width);
  return print({ ...state, live: { ...live, markdown: fed.state, said } }, ...fed.lines);
}

function liveOf(state: TuiState, turn: string): LiveTurn {
  return state.live?.turn === turn ? state.live : startTurn(turn, state.now);
}

function applyShown(state: TuiState, event: SessionEvent, turn: string): TuiState {
  const live = liveOf(state, turn);
  switch (event.type) {
    case "user_message":
    case "steering":
      return print({ ...state, live }, [], ...toUserLines(event.payload.text, state.width));
    case "model_request":
      return {
        ...state,
        live: { ...live, step: event.payload.step, markdown: MARKDOWN_START, said: "", isThinking: false },
      };
    case "reasoning_delta":
      return { ...state, live: { ...live, isThinking: true } };
    case "text_delta":
      return say(state, live, event.payload.text, live.said + event.payload.text);
    case "model_result":
      return applyResult(state, event.payload, event, turn);
    case "tool_intent": {
      const tool = { callId: event.payload.callId, text: statusOf(event), since: state.now };
      return { ...state, live: { ...live, tools: [...live.tools, tool] } };
    }
    case "tool_result":
      return applyToolResult({ ...state, live }, event, live);
    case "approval_asked":
      return state.isRelayed ? { ...state, live, cards: [...state.cards, event.payload.card as ApprovalCard] } : state;
    case "approval_answered":
      return print(
        { ...state, live, cards: state.cards.filter((card) => card.id !== event.payload.id) },
        ...toStatus(statusOf(event), state.width),
      );
    case "progress":
      return applyProgress({ ...state, live }, event, live);
    case "budget":
      return print({ ...state, live }, ...toStatus(statusOf(event), state.width));
    case "turn_done":
    case "turn_failed":
    case "turn_cancelled":
      return applyEnd(state, event, live);
    default:
      return state;
  }
}

/** A message of a person as it stands in the scrollback. */
export function toUserLines(text: string, width: number): Line[] {
  return text.split("\n").flatMap((line, at) => {
    const mark = span(at === 0 ? "› " : "  ", { color: "magenta", bold: true });
    return wrapLine([mark, span(line, { bold: true })], width, [span("  ")]);
  });
}

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

function applyResult(
  state: TuiState,
  payload: Of<"model_result">["payload"],
  event: SessionEvent,
  turn: string,
): TuiState {
  // A summary is said to nobody; what it cost counts.
  const isSilent = payload.text === "" || payload.purpose !== undefined;
  const caught = isSilent ? { ...state, live: liveOf(state, turn) } : catchSaid(state, turn, payload.text);
  const live = caught.live!;
  const { usage, cost } = payload;
  const tokens = usage.totalTokens ?? (usage.promptTokens ?? 0) + (usage.completionTokens ?? 0);
  const ended = print(caught, ...endMarkdown(live.markdown, state.width), ...toStatus(statusOf(event), state.width));
  const sum = live.cost === undefined || cost === undefined ? undefined : live.cost + cost;
  return {
    ...ended,
    live: { ...live, markdown: MARKDOWN_START, said: "", isThinking: false, tokens: live.tokens + tokens, cost: sum },
  };
}

function applyToolResult(state: TuiState, event: Of<"tool_result">, live: LiveTurn): TuiState {
  const { callId, tool, ok } = event.payload;
  const begun = live.tools.find((each) => each.callId === callId)?.text ?? `· ${tool}`;
  const [mark = "", ...rest] = statusOf(event).trimStart().split(" ");
  const result = [span(`  ${mark} `, { color: ok ? "green" : "red" }), span(rest.join(" "), DIM)];
  const indent = [span("    ")];
  return print(
    { ...state, live: { ...live, tools: live.tools.filter((each) => each.callId !== callId) } },
    ...toStatus(begun, state.width),
    ...wrapLine(result, state.width, indent),
  );
}

function applyProgress(state: TuiState, event: Of<"progress">, live: LiveTurn): TuiState {
  const before = { ...RENDER_START, ...(live.switched === undefined ? {} : { switched: live.switched }) };
  const { progress } = event.payload;
  if (progress.kind === "tool_heartbeat") return state;
  if (progress.kind === "tool_output") {
    const output = toOutputLines(progress).slice(-LIMITS.tuiOutputRowsMax);
    const tools = live.tools.map((each) => each.callId === progress.callId ? { ...each, output } : each);
    return { ...state, live: { ...live, tools } };
  }
  const { rendered, state: after } = renderEvent(event, before, false);
  const { switched: _, ...plain } = live;
  const next = { ...plain, ...(after.switched === undefined ? {} : { switched: after.switched }) };
  return print({ ...state, live: next }, ...toStatus(rendered.err.trimEnd(), state.width));
}

function applyEnd(state: TuiState, event: SessionEvent, live: LiveTurn): TuiState {
  const open = endMarkdown(live.markdown, state.width);
  const unfinished = live.tools.flatMap(({ text }) => toStatus(`${text} · not finished`, state.width));
  const done = print(state, ...open, ...unfinished);
  if (event.type !== "turn_done") {
    const line = [span(statusOf(event), { color: "red" })];
    return withoutLive(print(done, ...wrapLine(line, state.width, [span("  ")])));
  }
  return withoutLive(print(done, [span(clip(toUsage(live, state.now), state.width), DIM)]));
}

/** What a turn took, as far as it is known: `· 3 s · 2 steps · 1.2k tokens · $0.0031`. Pure. */
export function toUsage(live: Pick<LiveTurn, "since" | "step" | "tokens" | "cost">, now: number): string {
  const parts = [toSeconds(now - live.since)];
  if (live.step > 1) parts.push(`${live.step} steps`);
  if (live.tokens > 0) parts.push(`${toCount(live.tokens)} tokens`);
  if (live.cost !== undefined && live.cost > 0) {
    parts.push(`$${live.cost < 0.01 ? live.cost.toFixed(4) : live.cost.toFixed(2)}`);
  }
  return `· ${parts.join(" · ")}`;
}

/** `12 s`, `3 min 5 s`. Pure. */
export function toSeconds(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function toCount(tokens: number): string {
  return tokens < 1_000 ? String(tokens) : `${(tokens / 1_000).toFixed(1)}k`;
}

/** The status line that every client shows for this event; empty when there is none. */
function statusOf(event: SessionEvent): string {
  return renderEvent(event, RENDER_START, false).rendered.err.trimEnd();
}

function toStatus(text: string, width: number): Line[] {
  return text === "" ? [] : wrapLine([span(text, DIM)], width, [span("  ")]);
}
