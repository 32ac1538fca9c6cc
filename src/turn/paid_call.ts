import type { CallPurpose, EventPayloads, NewEvent, TurnEvent } from "#/core/event.ts";
import type { Message } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest, Provider, ReasoningEffort, ToolSchema } from "#/core/provider.ts";
import { toReplyMessage } from "#/turn/history.ts";
import type { CostAccount, Ledger, Reservation } from "#/turn/ledger.ts";
import { callModel, type Reply } from "#/turn/model_call.ts";
import { toModelResult } from "#/turn/model_result.ts";
import type { TokenCounter } from "#/turn/tokens.ts";
import type { TurnState } from "#/turn/turn_state.ts";
import type { WindowHasher } from "#/turn/window.ts";

/** What model calls of a turn run in. */
export interface PayingRun {
  readonly input: {
    readonly session: string;
    readonly model: string;
    readonly maxOutputTokens?: number;
    readonly descriptor?: ModelDescriptor;
    readonly reasoning?: ReasoningEffort;
    readonly budgets: { readonly timeoutMs: number };
  };
  readonly deps: { readonly provider: Provider; readonly ledger: Ledger; readonly tokens: TokenCounter };
  readonly control: AbortController;
  readonly state: TurnState;
  readonly account: CostAccount;
  readonly hasher: WindowHasher;
}

/** One model call, its price reserved. */
export interface PaidCall {
  readonly messages: readonly Message[];
  readonly tools: readonly ToolSchema[];
  /** What `model_request` says of them. */
  readonly window: Omit<EventPayloads["model_request"]["window"], "sha256" | "messages">;
  /** Their size, for a vendor that does not say it. */
  readonly tokens: number;
  readonly reservation: Reservation;
  /** Model call of the turn that this is, or that it prepares. */
  readonly step: number;
  /** Set when the reply is no part of the conversation: it is recorded and paid, not shown and not remembered. */
  readonly purpose?: CallPurpose;
}

/** One model call: its request, what it shows, its result. */
export async function* runPaidCall(run: PayingRun, call: PaidCall): AsyncGenerator<TurnEvent, Reply, void> {
  const { deps, state } = run;
  // Given back when the request is not recorded; after that a call without a result costs what was reserved, here as in the log.
  let unpaid: number | undefined = 0;
  try {
    const sha256 = await run.hasher.hash(call, call.tools);
    yield state.stamp(toModelRequest(run, call, sha256));
    unpaid = undefined;
    yield call.purpose === undefined
      ? state.progress({ kind: "provider_call" }, "Calling provider")
      : state.progress({ kind: "rolling_summary" }, "Summarising what was said before", call.step);
    const events = callModel(deps.provider, toRequest(run, call), state, run.control.signal);
    const reply = yield* call.purpose === undefined ? events : toProgress(events);
    const event = await toResult(run, call, reply);
    yield event;
    return reply;
  } finally {
    call.reservation.settle(unpaid);
  }
}

/** Of a call that is no part of the conversation only how it goes is shown. */
async function* toProgress(events: AsyncGenerator<TurnEvent, Reply, void>): AsyncGenerator<TurnEvent, Reply, void> {
  try {
    while (true) {
      const next = await events.next();
      if (next.done) return next.value;
      if (next.value.type === "progress") yield next.value;
    }
  } finally {
    await events.return?.(undefined as never);
  }
}

function toModelRequest(run: PayingRun, call: PaidCall, sha256: string): NewEvent {
  const { deps, input: { model, maxOutputTokens, budgets: { timeoutMs } } } = run;
  const { step, tools, messages, window, purpose, reservation: { bound } } = call;
  return {
    type: "model_request",
    v: 1,
    payload: {
      step,
      provider: deps.provider.name,
      model,
      parameters: {
        timeoutMs,
        ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
        tools: tools.map((tool) => tool.name),
      },
      window: { sha256, messages: messages.length, ...window },
      ...(purpose === undefined ? {} : { purpose }),
      ...(bound === undefined ? {} : { reserved: bound }),
    },
  };
}

function toRequest({ input }: PayingRun, { messages, tools, purpose }: PaidCall): ModelRequest {
  const { model, session, maxOutputTokens, descriptor, reasoning, budgets: { timeoutMs } } = input;
  return {
    model,
    // A vendor that keeps the conversation must not go on from a call that is none of it.
    ...(purpose === undefined ? { session } : {}),
    messages,
    tools,
    timeoutMs,
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(descriptor === undefined ? {} : { descriptor }),
    ...(reasoning === undefined ? {} : { reasoning }),
  };
}

/** Counts what the call used, pays it, and remembers what was said. */
async function toResult({ input, deps, state }: PayingRun, call: PaidCall, reply: Reply): Promise<NewEvent> {
  const { text, reasoning, toolCalls, usage, hasBegun } = reply;
  const said = text + reasoning + toolCalls.map((one) => one.name + one.arguments).join("");
  const own = hasBegun ? { input: call.tokens, output: deps.tokens.count(said) } : { input: 0, output: 0 };
  const cost = deps.ledger.costOf(reply.answeredBy ?? { provider: deps.provider.name, model: input.model }, usage, own);
  call.reservation.settle(cost?.cost);
  state.spend(usage, own.input + own.output, cost?.cost);
  const { purpose } = call;
  if (purpose !== undefined) {
    // What it made or thought is nobody's: only what was said is of use to a reader of the log.
    const spoken = { ...reply, media: [], replay: undefined };
    const event = await toModelResult(call.step, spoken, cost);
    return state.stamp({ ...event, payload: { ...event.payload, purpose } } as NewEvent);
  }
  if (text !== "") state.shownText = text;
  const event = state.stamp(await toModelResult(call.step, reply, cost));
  const message = toReplyMessage(reply);
  if (message !== undefined) state.remember(message);
  return event;
}
