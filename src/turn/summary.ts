import type { ErrorCode } from "#/core/error.ts";
import type { NewEvent, TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { type MeasuredCall, type Room, toUsableTokens } from "#/turn/measure_call.ts";
import type { Reply } from "#/turn/model_call.ts";
import type { Summary } from "#/turn/notes.ts";
import { type PayingRun, runPaidCall } from "#/turn/paid_call.ts";
import { checkSummary, KEPT, LEFT, toSaid, toVerbatim } from "#/turn/summary_check.ts";
import type { Item, Said } from "#/turn/summary_items.ts";
import { planSummary, type SummaryPlan, toSummaryTokens } from "#/turn/summary_plan.ts";
import { findReplyFault, toExtract, toSummaryMessages } from "#/turn/summary_text.ts";

/** A turn whose window may have to be summarised. */
export interface SummarisingRun extends PayingRun {
  readonly input: PayingRun["input"] & { readonly window: Room };
}

/** Trouble that passes: the next turn tries again, and until then the oldest messages are dropped. Any other would come again each time. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "provider_rate_limited",
  "provider_unavailable",
  "provider_interrupted",
  "provider_timeout",
  "provider_auth",
  "cancelled",
]);

/** What is to be summarised before a call, if it is over the trigger and enough turns would be replaced; at most once a turn. Pure. */
export function planSummaryOf(
  { state, input: { window: { summary: settings } } }: SummarisingRun,
  { measure, limitTokens, history }: MeasuredCall,
): SummaryPlan | undefined {
  if (settings === undefined || state.wasSummarised || measure.tokensMax !== undefined) return undefined;
  return planSummary({ history, measure, limitTokens, settings, summary: state.summary });
}

/**
 * Asks the model for the summary, checks what it wrote, keeps word for word what it left out, yields the `summary` event and puts it into the
 * state. Its calls are recorded with `purpose`, count and are paid like any other. Never fails a turn: without room in a budget or when the
 * model cannot be reached there is no summary, and what does not fit is dropped; a reply that is none is replaced by an extract.
 */
export async function* summarise(run: SummarisingRun, plan: SummaryPlan): AsyncGenerator<TurnEvent, void, void> {
  const { state } = run;
  state.wasSummarised = true;
  const text = yield* writeSummary(run, plan, toUsableTokens(run.input.window));
  if (text === undefined || run.control.signal.aborted) return;
  const { fromSeq, toSeq, epoch } = plan;
  const summary: Summary = { fromSeq, toSeq, text, epoch };
  const event: NewEvent = { type: "summary", v: 1, payload: summary };
  yield state.stamp(event);
  state.adopt(summary);
}

/** The text, or undefined when there is to be none now. */
async function* writeSummary(
  run: SummarisingRun,
  plan: SummaryPlan,
  limitTokens: number,
): AsyncGenerator<TurnEvent, string | undefined, void> {
  const said = toSaid(plan.replaced, run.state.summary);
  const tokens = toSummaryTokens(limitTokens);
  const room = { said, tokens, limitTokens, plan };
  const first = yield* askModel(run, room, []);
  if (first === undefined) return undefined;
  let text = first.text;
  let missing = checkSummary(said, text);
  // A token has about four characters: as long as the text.
  const keptChars = 4 * tokens;
  if (first.isWritten && toVerbatim(missing.filter(isSaid), keptChars).left > 0) {
    // More than can be kept beside it: the model is asked once more, told what it forgot.
    const second = yield* askModel(run, room, missing.slice(0, LIMITS.summaryNamedMax));
    if (run.control.signal.aborted) return undefined;
    const left = second?.isWritten ? checkSummary(said, second.text) : undefined;
    if (second !== undefined && left !== undefined && left.length < missing.length) {
      text = second.text;
      missing = left;
    }
  }
  return withKept(text, missing, keptChars);
}

/** What tools were given and gave back can be looked up; what was said cannot. */
function isSaid({ by }: Item): boolean {
  return by !== "call" && by !== "result";
}

function withKept(text: string, missing: readonly Item[], charsMax: number): string {
  const kept = toVerbatim(missing, charsMax);
  const parts = [text.trim(), ...(kept.text === "" ? [] : [`${KEPT}\n${kept.text}`])];
  return [...parts, ...(kept.left === 0 ? [] : [`${kept.left}${LEFT}`])].join("\n\n");
}

interface SummaryRoom {
  readonly said: readonly Said[];
  /** Of the summary that is asked for. */
  readonly tokens: number;
  readonly limitTokens: number;
  readonly plan: SummaryPlan;
}

/** One call for a summary: what the model wrote, or an extract when that is none; undefined when there is to be none now. */
async function* askModel(
  run: SummarisingRun,
  room: SummaryRoom,
  missing: readonly Item[],
): AsyncGenerator<TurnEvent, { readonly text: string; readonly isWritten: boolean } | undefined, void> {
  const reply = yield* callForSummary(run, room, missing);
  if (reply === undefined || reply.end.kind === "aborted") return undefined;
  if (reply.end.kind === "failed" && PASSING.has(reply.end.code)) return undefined;
  const { text, toolCalls } = reply;
  const finishReason = reply.end.kind === "done" ? reply.end.finishReason : "failed";
  const size = run.deps.tokens.count(text);
  const fault = reply.end.kind === "failed"
    ? "failed"
    : findReplyFault({ text, toolCalls, finishReason, tokens: size, tokensMax: 2 * room.tokens });
  return fault === undefined
    ? { text, isWritten: true }
    : { text: toExtract(room.said, 2 * room.tokens), isWritten: false };
}

async function* callForSummary(
  run: SummarisingRun,
  { said, tokens, limitTokens, plan }: SummaryRoom,
  missing: readonly Item[],
): AsyncGenerator<TurnEvent, Reply | undefined, void> {
  const { input, deps, state, account, control } = run;
  const count = (text: string) => deps.tokens.count(text);
  // Whoever wrote into the conversation cannot have known the hash of all of it.
  const mark = (await sha256Hex(JSON.stringify(said))).slice(0, 16);
  const messages = toSummaryMessages({
    said,
    wordsMax: Math.floor(tokens * 0.6),
    mark,
    tokensMax: Math.floor(limitTokens * 0.7) - tokens,
    missing: missing.map(({ text }) => text),
  }, count);
  const size = messages.reduce((sum, { content }) => sum + count(content), 0);
  if (size > limitTokens) return undefined;
  const output = input.maxOutputTokens ?? input.descriptor?.outputTokens ?? input.window.limitTokens;
  const reservation = await deps.ledger.reserve({ input: size, output }, account, control.signal);
  // The turn's own call finds the same limit, and says so.
  if (reservation === undefined || "kind" in reservation) return undefined;
  const { fromSeq, toSeq } = plan;
  return yield* runPaidCall(run, {
    messages,
    tools: [],
    window: { fromSeq, toSeq, droppedMessages: 0 },
    tokens: size,
    reservation,
    step: state.steps + 1,
    purpose: "summary",
  });
}
