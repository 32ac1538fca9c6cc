import { AppError } from "#/core/error.ts";
import type { Decision } from "#/core/capability.ts";
import type { NewEvent, TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ToolCall } from "#/core/message.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { planBatches } from "#/turn/batch.ts";
import type { CallContext } from "#/turn/call_context.ts";
import { type CallReport, toReport, toResultEvent } from "#/turn/call_result.ts";
import { checkCall, type CheckedCall, type ReadyCall } from "#/turn/check_call.ts";
import { type RunningCall, settleCalls, startCall, waitForCall } from "#/turn/running_call.ts";

/** Whether the turn goes on: `stuck` when a call was repeated once more after the model had been told, `parked` when a person decides first. */
export type CallsVerdict = "continue" | "stuck" | "parked";

/** What an earlier run of the same turn has recorded of the calls of one reply. */
export interface KnownCalls {
  /** Call ids with an intent. */
  readonly intended: ReadonlySet<string>;
  /** Call ids with a result. */
  readonly answered: ReadonlySet<string>;
  /** What was decided last, by call id. */
  readonly decided: ReadonlyMap<string, Decision["kind"]>;
  /** The node whose runner may have run it, by call id. */
  readonly nodes: ReadonlyMap<string, string>;
  /** The turn was about to fail as stuck: what has no intent does not run any more. */
  readonly isStuck?: boolean;
  /** Ids of the cards that were recorded. */
  readonly cards: ReadonlySet<string>;
}

/** Of a reply that no call was made for. */
export const NOTHING_KNOWN: KnownCalls = {
  intended: new Set(),
  answered: new Set(),
  decided: new Map(),
  nodes: new Map(),
  cards: new Set(),
};

/**
 * Answers the calls of one reply, batch by batch in their order. All intents of a batch are yielded first; the calls start when the
 * consumer asks for what follows the last intent, and their results come in call order. When the turn is stopped, every call whose
 * intent was yielded still gets its result, and nothing more starts. A call that asks gets no result: the rest of its batch is answered,
 * then the turn parks, and the batches behind it wait. Run again with what was known, no intent, decision, card or result is yielded a
 * second time, and the runner is told which calls it was asked for before.
 */
export async function* runCalls(
  calls: readonly ToolCall[],
  context: CallContext,
  known: KnownCalls = NOTHING_KNOWN,
): AsyncGenerator<TurnEvent, CallsVerdict, void> {
  const { state, control } = context;
  // As they were before the first of these calls.
  const callsLeft = context.toolCallsMax - state.toolCalls + known.intended.intersection(known.answered).size;
  const checked = calls.map((call, index) => checkCall(call, { index, callsLeft }, context.tools))
    .filter(({ call: { id } }) => !known.answered.has(id) && (!known.isStuck || known.intended.has(id)));
  const toolNames = checked.filter((call) => call.kind === "ready").map((call) => call.call.name);
  if (toolNames.length > 0) {
    yield state.progress({ kind: "tool_execution", toolNames }, `Executing tools: ${toolNames.join(", ")}`);
  }
  for (const batch of planBatches(checked, LIMITS.parallelReadsMax)) {
    if (control.signal.aborted) break;
    const verdict = yield* runBatch(batch, context, known);
    if (verdict !== "continue") return verdict;
  }
  return known.isStuck ? "stuck" : "continue";
}

async function* runBatch(
  batch: readonly CheckedCall[],
  context: CallContext,
  known: KnownCalls,
): AsyncGenerator<TurnEvent, CallsVerdict, void> {
  const { state, control } = context;
  let verdict: CallsVerdict = "continue";
  const intended: CheckedCall[] = [];
  for (const call of batch) {
    if (control.signal.aborted) break;
    if (known.intended.has(call.call.id)) {
      const node = known.nodes.get(call.call.id) ?? context.node;
      intended.push(node === context.node || call.effect === "read_only" ? call : toUnknown(call));
      continue;
    }
    const streak = state.streak.judge(call.call, state.steps);
    if (streak === "stop") verdict = "stuck";
    const judged = streak === "run" ? call : toRepeated(call);
    intended.push(judged);
    if (judged.kind === "ready") yield state.stamp(await toIntent(judged, context));
  }
  const running = intended.map((call) =>
    call.kind === "ready" ? startCall(call, context, known.intended.has(call.call.id)) : undefined
  );
  let isAnswered = false;
  let parked: NewEvent | undefined;
  try {
    for (const [index, call] of intended.entries()) {
      parked ??= yield* answerCall(call, running[index], { context, known });
    }
    isAnswered = true;
  } finally {
    // The reader left: what runs is stopped, and nothing of it outlives this turn.
    if (!isAnswered) {
      control.abort(new AppError("cancelled", "the reader left"));
      await settleCalls(running.filter((call) => call !== undefined), context);
    }
  }
  if (parked === undefined || control.signal.aborted) return verdict;
  yield state.stamp(parked);
  return "parked";
}

/** Yields what became of a call; returns the event that parks the turn when a person decides about it. */
async function* answerCall(
  call: CheckedCall,
  running: RunningCall | undefined,
  { context, known }: { readonly context: CallContext; readonly known: KnownCalls },
): AsyncGenerator<TurnEvent, NewEvent | undefined, void> {
  const { state } = context;
  let report: CallReport;
  if (call.kind === "refused") {
    report = { code: call.code, text: call.text, outputBytes: 0, elapsedMs: 0 };
  } else {
    const end = yield* waitForCall(running!, context);
    if (end.kind === "outcome") state.sawAudit(end.outcome.auditHead);
    const card = end.kind === "outcome" ? end.outcome.card : undefined;
    const isAsked = card !== undefined && !context.control.signal.aborted;
    const decision = end.kind === "outcome" ? end.outcome.decision : undefined;
    if (end.kind === "outcome" && decision !== undefined && decision.kind !== known.decided.get(call.call.id)) {
      const { tool } = end.outcome;
      yield state.stamp({ type: "tool_decision", v: 1, payload: { callId: call.call.id, tool, decision } });
    }
    if (isAsked) {
      const callId = call.call.id;
      if (!known.cards.has(card.id)) yield state.stamp({ type: "approval_asked", v: 1, payload: { callId, card } });
      return { type: "parked", v: 1, payload: { callId, reason: card.reason } };
    }
    if (end.kind === "outcome" && (end.outcome.kind === "denied" || end.outcome.kind === "ask")) state.denied++;
    report = toReport(call, end, context.now() - running!.startedAt);
  }
  const event = await toResultEvent(call, report);
  const { text, ok } = event.payload;
  if (report.code !== "turn_stuck") state.streak.note(call.call, text);
  const stamped = state.stamp(event);
  state.remember({ role: "tool", toolCallId: call.call.id, name: call.call.name, content: text, ok });
  yield stamped;
  return undefined;
}

async function toIntent(ready: ReadyCall, context: CallContext): Promise<NewEvent> {
  const { call, effect, args } = ready;
  const argsSha256 = await sha256Hex(canonicalJson(args));
  const { principal, state } = context;
  const node = context.node === undefined ? {} : { node: context.node };
  const payload = { callId: call.id, step: state.steps, tool: call.name, effect, args, argsSha256, principal, ...node };
  return { type: "tool_intent", v: 1, payload };
}

/** What another gateway's runner was asked for: ours knows nothing of it, and would run it again. */
function toUnknown(call: CheckedCall): CheckedCall {
  const text =
    "It was begun by another gateway, which is gone; whether it took effect is unknown: check before you do it again. " +
    "It was not run a second time.";
  return { kind: "refused", call: call.call, effect: "read_only", code: "tool_interrupted", text };
}

function toRepeated(call: CheckedCall): CheckedCall {
  const text = "Not run: you made this very call before and got the same result, again and again. " +
    "Do something else, or answer with what you have; the same call once more ends the turn.";
  return { kind: "refused", call: call.call, effect: "read_only", code: "turn_stuck", text };
}
