import { addUsage } from "#/core/cost.ts";
import type { EventPayloads, StoredEvent } from "#/core/event.ts";
import { isTurnEnd } from "#/core/event.ts";
import type { ToolCall, Usage } from "#/core/message.ts";
import { type SpentBudget, toSpentAgain, toTokens } from "#/turn/budget.ts";
import type { LastReply } from "#/turn/model_call.ts";
import { type KnownCalls, NOTHING_KNOWN } from "#/turn/run_calls.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** A call that has its result. */
export interface AnsweredCall {
  readonly call: ToolCall;
  readonly step: number;
  readonly code: EventPayloads["tool_result"]["code"];
  readonly text: string;
}

/** Where an interrupted or parked turn goes on, and what it had used. */
export interface Resume {
  /** The last reply, unless everything that follows from it has happened: then the model is asked. */
  readonly reply: LastReply | undefined;
  /** What is recorded of the calls of that reply. */
  readonly known: KnownCalls;
  /** It was about to fail for this. */
  readonly spent: SpentBudget | undefined;
  /** It was about to end as cancelled. */
  readonly isCancelled: boolean;
  /** Replies recorded. */
  readonly steps: number;
  readonly toolCalls: number;
  readonly denied: number;
  readonly usage: Usage;
  readonly tokens: number;
  /** In US dollars, with what was reserved for calls that an interruption cut off; undefined when the price of one was not known. */
  readonly cost: number | undefined;
  readonly shownText: string;
  readonly wasEmpty: boolean;
  readonly auditHead: TurnState["auditHead"];
  /** In their order: what tells a model that repeats itself. */
  readonly answered: readonly AnsweredCall[];
  readonly callIds: readonly string[];
}

type Reply = EventPayloads["model_result"];
type Sum = number | undefined;

/** True when the turn waits for a person: its last event, answers of people aside, parks it. Pure. */
export function isParked(events: readonly StoredEvent[]): boolean {
  return events.findLast((event) => event.type !== "approval_answered")?.type === "parked";
}

const PROGRESS: ReadonlySet<string> = new Set(["model_result", "tool_result", "parked"]);

/** How many times the turn was resumed since its last reply or result, or since it waited for a person. Pure. */
export function countResumes(events: readonly StoredEvent[]): number {
  const last = events.findLastIndex((event) => PROGRESS.has(event.type));
  return events.slice(last + 1).filter((event) => event.type === "resumed").length;
}

/** The state of a turn from its recorded events, the user message first; undefined when it has none, or has ended. Pure. */
export function planResume(events: readonly StoredEvent[]): Resume | undefined {
  if (events.length === 0 || events.some(isTurnEnd)) return undefined;
  const paid = events.filter((event) => event.type === "model_result").map((event) => event.payload);
  const replies = paid.filter((reply) => reply.purpose === undefined);
  const behind = events.slice(
    events.findLastIndex((event) => event.type === "model_result" && event.payload.purpose === undefined) + 1,
  );
  // A person's word is taken, and a summary written, only where a model call is next.
  const isOver = behind.some((event) => event.type === "model_request" || event.type === "steering");
  const last = isOver ? undefined : replies.at(-1);
  const results = events.filter((event) => event.type === "tool_result").map((event) => event.payload);
  const budget = behind.findLast((event) => event.type === "budget");
  const wasCut = behind.some((event) => event.type === "tool_result" && event.payload.code === "cancelled");
  const intents = events.filter((event) => event.type === "tool_intent");
  const open = toCallIds(behind, "tool_intent").difference(toCallIds(behind, "tool_result"));
  return {
    reply: last === undefined ? undefined : toLastReply(last),
    known: last === undefined ? NOTHING_KNOWN : toKnown(behind),
    spent: budget === undefined ? undefined : toSpentAgain(budget.payload),
    isCancelled: last !== undefined && (wasCut || last.finishReason === "cancelled"),
    steps: replies.length,
    // Those without a result are counted when they start again.
    toolCalls: intents.length - open.size,
    denied:
      events.filter((event) =>
        event.type === "tool_decision" && event.payload.decision.kind === "denied" && !open.has(event.payload.callId)
      ).length,
    usage: paid.map((reply) => reply.usage).reduce(addUsage, {}),
    // What a vendor did not count was estimated then; the estimate is not recorded, so it counts as nothing.
    tokens: paid.reduce((sum, reply) => sum + toTokens(reply.usage, 0), 0),
    cost: toCosts(events).reduce<Sum>(
      (sum, cost) => sum === undefined || cost === undefined ? undefined : sum + cost,
      0,
    ),
    shownText: replies.findLast((reply) => reply.text !== "")?.text ?? "",
    wasEmpty: wasEmptyAfter(last === undefined ? replies : replies.slice(0, -1)),
    auditHead: results.map((result) => result.auditHead).reduce(toLater, undefined),
    answered: toAnswered(events),
    callIds: replies.flatMap((reply) => reply.toolCalls).map((call) => call.id),
  };
}

/** Puts what a turn had used back into its state. Returns whether the model had repeated itself once too often. */
export function restoreState(state: TurnState, resume: Resume): { readonly isStuck: boolean } {
  state.steps = resume.steps;
  state.toolCalls = resume.toolCalls;
  state.denied = resume.denied;
  state.usage = resume.usage;
  state.tokens = resume.tokens;
  state.cost = resume.cost;
  state.shownText = resume.shownText;
  state.wasEmpty = resume.wasEmpty;
  state.sawAudit(resume.auditHead);
  for (const id of resume.callIds) state.callIds.add(id);
  let isStuck = false;
  for (const { call, step, code, text } of resume.answered) {
    if (code !== "turn_stuck") state.streak.note(call, text);
    else isStuck = state.streak.judge(call, step) === "stop";
  }
  return { isStuck: isStuck && resume.reply !== undefined };
}

function toLastReply({ text, media = [], toolCalls, finishReason, failure }: Reply): LastReply {
  const said = { text, media, toolCalls };
  if (finishReason === "cancelled") return { ...said, end: { kind: "aborted" } };
  if (finishReason !== "failed") return { ...said, end: { kind: "done", finishReason } };
  const unsaid = { code: "provider_interrupted", message: "The model's reply stopped before its end" } as const;
  return { ...said, end: { kind: "failed", ...failure ?? unsaid } };
}

function toKnown(behind: readonly StoredEvent[]): KnownCalls {
  const decisions = behind.filter((event) => event.type === "tool_decision").map((event) => event.payload);
  const asked = new Set(decisions.filter(({ decision }) => decision.kind === "ask").map(({ callId }) => callId));
  // A question that nobody has answered: it never began, so whoever has the turn now may ask.
  const waits = asked.difference(toCallIds(behind, "approval_answered"));
  // The last one that was told to run it.
  const asking = behind.filter((event) => event.type === "tool_intent" || event.type === "approval_answered")
    .map((event) => event.payload);
  const cards = behind.filter((event) => event.type === "approval_asked").map((event) => event.payload.card);
  return {
    intended: toCallIds(behind, "tool_intent"),
    answered: toCallIds(behind, "tool_result"),
    decided: new Map(decisions.map(({ callId, decision }) => [callId, decision.kind])),
    nodes: new Map(asking.flatMap(({ callId, node }) => node && !waits.has(callId) ? [[callId, node]] : [])),
    cards: new Set(cards.map((card) => String((card as { id?: unknown } | null)?.id))),
  };
}

function toCallIds(
  events: readonly StoredEvent[],
  type: "tool_intent" | "tool_result" | "approval_answered",
): Set<string> {
  return new Set(
    events.filter((event): event is Extract<StoredEvent, { type: typeof type }> => event.type === type)
      .map(({ payload }) => payload.callId),
  );
}

/** Of each model call; one without a result costs what was reserved for it. */
function toCosts(events: readonly StoredEvent[]): Sum[] {
  const calls = events.filter((event) => event.type === "model_request" || event.type === "model_result");
  return calls.flatMap((event, at) => {
    if (event.type === "model_result") return [event.payload.cost];
    return calls[at + 1]?.type === "model_result" ? [] : [event.payload.reserved];
  });
}

function wasEmptyAfter(replies: readonly Reply[]): boolean {
  const last = replies.at(-1);
  return last !== undefined && last.text === "" && last.toolCalls.length === 0 && (last.media ?? []).length === 0;
}

function toLater(left: TurnState["auditHead"], right: TurnState["auditHead"]): TurnState["auditHead"] {
  return (right?.seq ?? 0) > (left?.seq ?? 0) ? right : left;
}

/** In the order of their results. Ids are those of one reply: an older log may have them again in another one. */
function toAnswered(events: readonly StoredEvent[]): AnsweredCall[] {
  let reply: Reply | undefined;
  return events.flatMap((event) => {
    if (event.type === "model_result") reply = event.payload;
    if (event.type !== "tool_result") return [];
    const call = reply?.toolCalls.find(({ id }) => id === event.payload.callId);
    const { code, text } = event.payload;
    return call === undefined ? [] : [{ call, step: reply!.step, code, text }];
  });
}
