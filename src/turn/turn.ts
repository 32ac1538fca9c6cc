import type { Principal, Sandbox } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { TurnEvent } from "#/core/event.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest, Provider, ReasoningEffort, ToolSchema } from "#/core/provider.ts";
import { findSpentBudget, type SpentBudget, type TurnBudgets } from "#/turn/budget.ts";
import type { CallContext } from "#/turn/call_context.ts";
import type { TurnTool } from "#/turn/check_call.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import { CostAccount, type Ledger, type Reservation } from "#/turn/ledger.ts";
import { measureCall, type MeasuredCall, type Room } from "#/turn/measure_call.ts";
import type { LastReply, Reply } from "#/turn/model_call.ts";
import type { Summary } from "#/turn/notes.ts";
import { runPaidCall } from "#/turn/paid_call.ts";
import { restoreState, type Resume } from "#/turn/resume.ts";
import { type SteeringSource, takeSteering } from "#/turn/steering.ts";
import { NOTHING_KNOWN, runCalls } from "#/turn/run_calls.ts";
import { planSummaryOf, summarise } from "#/turn/summary.ts";
import type { CountedRange, Measure, TokenCounter } from "#/turn/tokens.ts";
import { endSpent, endTurn, failTurn, stopTurn, toSpentCalls, toSpentWindow } from "#/turn/turn_end.ts";
import { TurnState } from "#/turn/turn_state.ts";
import { planWindow, type Window, WindowHasher } from "#/turn/window.ts";

/** Joined to the system prompt when the last reply was empty: a message of its own would be a user message that nobody wrote. */
const AFTER_EMPTY = "Your last reply was empty. Answer the user now, or call a tool.";

const REASON_CHARS_MAX = 200;

/** Who runs a turn, with which model, tools and bounds. The same for every turn of a session. */
export interface TurnSetup {
  readonly principal: Principal;
  readonly model: string;
  readonly system: string;
  readonly tools: readonly TurnTool[];
  readonly budgets: TurnBudgets;
  readonly window: Room;
  readonly maxOutputTokens?: number;
  readonly descriptor?: ModelDescriptor;
  readonly reasoning?: ReasoningEffort;
  /** What the reply is to look like; see ModelRequest. */
  readonly outputSchema?: NonNullable<ModelRequest["outputSchema"]>;
}

/** One turn. */
export interface TurnInput extends TurnSetup {
  readonly session: string;
  readonly turn: string;
  /** Valid as `toHistory` makes it; ends with this turn's user message, which is recorded already. */
  readonly history: readonly HistoryMessage[];
  /** Stands for what was said before `history`. */
  readonly summary?: Summary | undefined;
  readonly counted?: CountedRange | undefined;
  /** The turn was interrupted or parked: goes on behind what is recorded of it. */
  readonly resume?: Resume;
  /** Recorded with each intent; what another one intended is not asked for again. */
  readonly node?: string | undefined;
  /** Place of the session's newest event. The consumer gives the durable events of this turn the places behind it, without a gap. */
  readonly lastSeq: number;
}

/** What a turn reaches the world by. */
export interface TurnDeps {
  readonly provider: Provider;
  readonly sandbox: Pick<Sandbox, "call">;
  /** Integer ms UTC. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal fires. */
  delay(ms: number, signal: AbortSignal): Promise<void>;
  /** Of the user: what all turns together may cost, and what a reply did. */
  readonly ledger: Ledger;
  readonly tokens: TokenCounter;
  /** What the person says while the turn runs. */
  readonly steering?: SteeringSource;
}

/**
 * Runs one turn: model call, tool calls, model call, … until the model answers without calls. Ends with exactly one `turn_done`,
 * `turn_failed` (a `budget` event before it when a budget is spent), `turn_cancelled`, or with `parked`, which ends no turn: run again with
 * `resume` it goes on. Trouble of a model or a tool is never thrown; a programmer error is, and AppError `tool_interrupted` when there is no
 * runner any more: the turn goes on in another process.
 *
 * - A side effect starts only when the consumer has pulled past its `tool_intent`, so pull only after you recorded what you got.
 * - When the window is over its trigger, the oldest turns are replaced by a summary first (summary.ts); its calls carry `purpose`.
 * - Each `model_request` is followed by one `model_result`. When the call fails or is cancelled, that holds the text shown so far,
 *   no tool calls, and the finish reason `failed` or `cancelled`: nothing that the person saw is lost, and the history stays valid.
 * - After `signal` fires, calls whose intent was yielded get their result, nothing starts, and the turn ends cancelled. The signal's
 *   reason, when it is a string or an AppError, becomes the event's reason.
 * - What `steering` has is yielded as `steering` before a model call, which sees it; a last reply that it came in on is answered by one more.
 * - An empty reply is asked for once more; a second one in a row fails the turn with `provider_protocol`, unless text was shown before.
 * - The third equal call with equal results in a row is answered, not run; one more in a later reply fails the turn with `turn_stuck`.
 */
export async function* runTurn(
  input: TurnInput,
  deps: TurnDeps,
  signal: AbortSignal,
): AsyncGenerator<TurnEvent, void, void> {
  const control = new AbortController();
  const cancel = () => control.abort(new AppError("cancelled", toReason(signal.reason)));
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  const { wallMs, stepsMax } = input.budgets;
  if (wallMs !== undefined) {
    void deps.delay(wallMs, control.signal).then(() =>
      control.abort(new AppError("budget_time", "the time of the turn is over"))
    );
  }
  const state = new TurnState(input.history, input.lastSeq, stepsMax);
  state.summary = input.summary;
  const isStuck = input.resume !== undefined && restoreState(state, input.resume).isStuck;
  if (input.resume?.isCancelled) control.abort(new AppError("cancelled", "cancelled"));
  const account = new CostAccount("max_cost", input.budgets.costMax, state.cost ?? 0);
  const startedAt = deps.now();
  const schemas = input.tools.map((tool) => tool.schema);
  const hasher = new WindowHasher();
  try {
    yield* runSteps({ input, deps, control, state, account, schemas, hasher, startedAt }, isStuck);
  } finally {
    signal.removeEventListener("abort", cancel);
    control.abort(new AppError("cancelled", "the turn is over"));
  }
}

interface Run {
  readonly input: TurnInput;
  readonly deps: TurnDeps;
  readonly control: AbortController;
  readonly state: TurnState;
  readonly account: CostAccount;
  /** Of `input.tools`, one list for all steps. */
  readonly schemas: readonly ToolSchema[];
  readonly hasher: WindowHasher;
  /** Integer ms UTC. */
  readonly startedAt: number;
}

/** What the person reads about a cancel: nothing of a stranger's error. */
function toReason(reason: unknown): string {
  if (reason instanceof AppError) return reason.message;
  return typeof reason === "string" ? reason.slice(0, REASON_CHARS_MAX) : "cancelled";
}

async function* runSteps(run: Run, wasStuck: boolean): AsyncGenerator<TurnEvent, void, void> {
  const { input: { resume, budgets }, deps, control, state } = run;
  const calls = toCallContext(run);
  if (resume?.spent !== undefined) return yield failTurn(run, resume.spent.code, resume.spent.message);
  let left = resume?.reply;
  while (true) {
    if (control.signal.aborted) return yield* stopTurn(run);
    const known = left === undefined || resume === undefined ? NOTHING_KNOWN : { ...resume.known, isStuck: wasStuck };
    const reply = left ?? (yield* askModel(run));
    left = undefined;
    if (reply === undefined) return;
    if (reply.end.kind === "aborted") return yield* stopTurn(run);
    if (reply.end.kind === "failed") return yield failTurn(run, reply.end.code, reply.end.message);
    if (reply.toolCalls.length === 0) {
      // Where no further call may be made, nothing is taken: what waits becomes a turn of its own.
      const isSteered = deps.steering !== undefined && findSpentBudget(state, budgets) === undefined &&
        (yield* takeSteering(deps.steering, state));
      const hasAnswer = reply.text !== "" || reply.media.length > 0;
      if (!isSteered && (hasAnswer || state.wasEmpty)) return yield endTurn(run, reply);
      state.wasEmpty = !hasAnswer;
      continue;
    }
    state.wasEmpty = false;
    const isBegun = known.intended.size + known.answered.size > 0;
    if (!isBegun && state.toolCalls >= calls.toolCallsMax) {
      return yield* endSpent(run, toSpentCalls(state, calls.toolCallsMax));
    }
    const verdict = yield* runCalls(reply.toolCalls, calls, known);
    if (verdict === "parked") return;
    if (verdict === "stuck") {
      return yield failTurn(run, "turn_stuck", "Stopped: the model repeated a call that brings nothing new");
    }
  }
}

/** The next reply, or undefined when the turn has ended instead. */
async function* askModel(run: Run): AsyncGenerator<TurnEvent, LastReply | undefined, void> {
  const spent = findSpentBudget(run.state, run.input.budgets);
  if (spent !== undefined) return yield* endSpent(run, spent);
  if (run.deps.steering !== undefined) yield* takeSteering(run.deps.steering, run.state);
  const call = await measureNow(run);
  const plan = planSummaryOf(run, call);
  if (plan !== undefined) yield* summarise(run, plan);
  if (run.control.signal.aborted) return yield* stopTurn(run);
  const step = await planStep(run, plan === undefined ? call : await measureNow(run));
  if (step === undefined) return yield* stopTurn(run);
  if ("kind" in step) return yield* endSpent(run, step);
  return yield* runStep(run, step);
}

function toCallContext({ input, deps, control, state }: Run): CallContext {
  const { session, turn, principal, node } = input;
  return {
    node,
    session,
    turn,
    principal,
    tools: new Map(input.tools.map((tool) => [tool.schema.name, tool])),
    toolCallsMax: input.budgets.toolCallsMax,
    state,
    sandbox: deps.sandbox,
    control,
    now: () => deps.now(),
    delay: (ms, signal) => deps.delay(ms, signal),
  };
}

interface Step {
  readonly window: Window;
  readonly measure: Measure;
  readonly reservation: Reservation;
}

/** What the next model call could be shown, and its size. */
function measureNow({ input, deps, state, schemas: tools }: Run): Promise<MeasuredCall> {
  const { session, counted } = input;
  const system = state.wasEmpty ? `${input.system}\n\n${AFTER_EMPTY}` : input.system;
  const { history, summary } = state;
  return measureCall({ session, system, tools, history, counted, notes: { summary } }, input.window, deps.tokens);
}

/** What the next model call is shown, and its price reserved; or the budget that forbids it, or undefined when the turn was cancelled meanwhile. */
async function planStep(run: Run, call: MeasuredCall): Promise<Step | SpentBudget | undefined> {
  const { input, deps, account, control } = run;
  const { measure } = call;
  let window: Window;
  try {
    window = planWindow(call);
  } catch (error) {
    if (error instanceof AppError) return toSpentWindow(error);
    throw error;
  }
  const output = input.maxOutputTokens ?? input.descriptor?.outputTokens ?? input.window.limitTokens;
  const bound = { input: measure.tokensMax ?? window.tokens, output };
  const reservation = await deps.ledger.reserve(bound, account, control.signal);
  return reservation === undefined || "kind" in reservation ? reservation : { window, measure, reservation };
}

/** One model call for the turn's answer. */
function runStep(run: Run, { window, measure, reservation }: Step): AsyncGenerator<TurnEvent, Reply, void> {
  const { state, schemas: tools } = run;
  state.steps++;
  const { messages, tokens, fromSeq, toSeq, dropped: droppedMessages, isWhole } = window;
  const shownMax = measure.toOwnTokens(measure.historyMax ?? tokens - measure.fixedTokens);
  return runPaidCall(run, {
    messages,
    tools,
    window: {
      fromSeq,
      toSeq,
      droppedMessages,
      ...(state.summary === undefined ? {} : { summaryEpoch: state.summary.epoch }),
      ...(isWhole ? { tokensMax: shownMax } : {}),
    },
    tokens,
    reservation,
    step: state.steps,
  });
}
