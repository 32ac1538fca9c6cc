import { addUsage } from "#/core/cost.ts";
import type { StoredEvent } from "#/core/event.ts";
import type { ToolCall, Usage } from "#/core/message.ts";
import { toTokens } from "#/turn/budget.ts";
import type { KnownCalls } from "#/turn/run_calls.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** Where a parked turn goes on, and what it had used. */
export interface Resume {
  /** Calls of the last reply without a result, in their order. */
  readonly calls: readonly ToolCall[];
  readonly known: KnownCalls;
  readonly steps: number;
  readonly toolCalls: number;
  readonly denied: number;
  readonly usage: Usage;
  readonly tokens: number;
  /** In US dollars; undefined when the price of one call was not known. */
  readonly cost: number | undefined;
  readonly shownText: string;
  /** Calls that have a result, and it, in their order: what tells a model that repeats itself. */
  readonly answered: readonly { readonly call: ToolCall; readonly text: string }[];
}

/** True when the turn waits for a person: its last event, answers of people aside, parks it. Pure. */
export function isParked(events: readonly StoredEvent[]): boolean {
  return events.findLast((event) => event.type !== "approval_answered")?.type === "parked";
}

/** The state of a turn from its recorded events; undefined when it made no call that could be waited for. Pure. */
export function planResume(events: readonly StoredEvent[]): Resume | undefined {
  const paid = events.filter((event) => event.type === "model_result").map((event) => event.payload);
  const replies = paid.filter((reply) => reply.purpose === undefined);
  const last = replies.at(-1);
  if (last === undefined) return undefined;
  const results = new Map(
    events.filter((event) => event.type === "tool_result").map((event) => [event.payload.callId, event.payload.text]),
  );
  const intents = events.filter((event) => event.type === "tool_intent");
  const intended = new Set(intents.map(({ payload }) => payload.callId));
  const calls = replies.flatMap((reply) => reply.toolCalls);
  const cards = events.filter((event) => event.type === "approval_asked").map((event) => event.payload.card);
  return {
    calls: last.toolCalls.filter((call) => !results.has(call.id)),
    known: {
      intended,
      cards: new Set(cards.map((card) => String((card as { id?: unknown } | null)?.id))),
    },
    steps: events.filter((event) => event.type === "model_request" && event.payload.purpose === undefined).length,
    toolCalls: intended.size,
    denied: events.filter((event) => event.type === "tool_decision" && event.payload.decision.kind === "denied").length,
    usage: paid.map((reply) => reply.usage).reduce(addUsage, {}),
    // What a vendor did not count was estimated then; the estimate is not recorded, so it counts as nothing.
    tokens: paid.reduce((sum, reply) => sum + toTokens(reply.usage, 0), 0),
    cost: paid.reduce<number | undefined>(
      (sum, { cost }) => sum === undefined || cost === undefined ? undefined : sum + cost,
      0,
    ),
    shownText: replies.findLast((reply) => reply.text !== "")?.text ?? "",
    answered: calls.flatMap((call) => {
      const text = results.get(call.id);
      return text === undefined ? [] : [{ call, text }];
    }),
  };
}

/** Puts what a turn had used back into its state. The calls that wait are counted when they start again. */
export function restoreState(state: TurnState, resume: Resume): void {
  state.steps = resume.steps;
  state.toolCalls = resume.toolCalls - resume.calls.filter((call) => resume.known.intended.has(call.id)).length;
  state.denied = resume.denied;
  state.usage = resume.usage;
  state.tokens = resume.tokens;
  state.cost = resume.cost;
  state.shownText = resume.shownText;
  for (const { call, text } of resume.answered) state.streak.note(call, text);
}
