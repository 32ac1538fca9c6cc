import type { AppError, ErrorCode } from "#/core/error.ts";
import type { TurnEvent } from "#/core/event.ts";
import type { SpentBudget } from "#/turn/budget.ts";
import type { LastReply } from "#/turn/model_call.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** What the end of a turn needs to know about it. */
export interface Ending {
  readonly input: { readonly budgets: { readonly wallMs?: number } };
  readonly deps: { now(): number };
  readonly control: AbortController;
  readonly state: TurnState;
  /** Integer ms UTC. */
  readonly startedAt: number;
}

/** The model answered. An empty answer counts as the text shown before it, when there is any, else the turn failed; a picture needs no text. */
export function endTurn(ending: Ending, reply: Omit<LastReply, "toolCalls">): TurnEvent {
  const { state } = ending;
  const finishReason = reply.end.kind === "done" ? reply.end.finishReason : reply.end.kind;
  const text = reply.text === "" ? state.shownText : reply.text;
  if (text === "" && reply.media.length === 0) {
    const message =
      `The model answered twice with nothing (finish reason: ${finishReason}). Ask again, or choose another model.`;
    return failTurn(ending, "provider_protocol", message);
  }
  const { steps, toolCalls, denied, usage, cost, auditHead } = state;
  const price = cost === undefined ? {} : { cost };
  const head = auditHead === undefined ? {} : { auditHead };
  const payload = { text, finishReason, steps, toolCalls, denied, usage, ...price, ...head };
  return state.stamp({ type: "turn_done", v: 1, payload });
}

/** The turn cannot go on. */
export function failTurn({ state }: Ending, code: ErrorCode, message: string): TurnEvent {
  return state.stamp({ type: "turn_failed", v: 1, payload: { code, message, steps: state.steps } });
}

/** A budget is spent: says which, then fails. */
export function* endSpent(ending: Ending, spent: SpentBudget): Generator<TurnEvent, undefined, void> {
  const { kind, used, limit, code, message } = spent;
  yield ending.state.stamp({ type: "budget", v: 1, payload: { kind, used, limit } });
  yield failTurn(ending, code, message);
}

/** The turn's signal fired: its time is over, or someone cancelled it. */
export function* stopTurn(ending: Ending): Generator<TurnEvent, undefined, void> {
  const { control, state, deps, startedAt, input } = ending;
  const reason = control.signal.reason as AppError;
  if (reason.code === "budget_time") {
    const limit = input.budgets.wallMs!;
    const used = deps.now() - startedAt;
    const message = `Stopped after ${(limit / 1_000).toFixed(1)} seconds`;
    return yield* endSpent(ending, { kind: "time", used, limit, code: "budget_time", message });
  }
  yield state.stamp({ type: "turn_cancelled", v: 1, payload: { reason: reason.message, steps: state.steps } });
}

/** The budget event of an AppError that `planWindow` threw. */
export function toSpentWindow(error: AppError): SpentBudget {
  const [used, limit] = [Number(error.params["used"]), Number(error.params["limit"])];
  return { kind: "tokens", used, limit, code: error.code, message: error.message };
}

/** The model asks for a call when none is left. */
export function toSpentCalls({ toolCalls: used }: TurnState, limit: number): SpentBudget {
  return { kind: "tool_calls", used, limit, code: "budget_exceeded", message: `Stopped after ${used} tool calls` };
}
