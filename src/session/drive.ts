import type { Priority } from "#/lib/lane.ts";
import { AppError, type ErrorCode, toPublicError } from "#/core/error.ts";
import {
  isDurable,
  isTurnEnd,
  type NewEvent,
  type SessionEvent,
  type StoredEvent,
  type TurnEvent,
} from "#/core/event.ts";
import { uuidv7 } from "#/core/id.ts";
import type { EventLog } from "#/core/store.ts";
import { readHistory } from "#/session/read_history.ts";
import type { LeaseTerms, TurnLog, TurnPlace } from "#/session/turn_log.ts";
import { withAsked } from "#/turn/asked.ts";
import type { Resume } from "#/turn/resume.ts";
import { runTurn, type TurnDeps, type TurnSetup } from "#/turn/turn.ts";

/** What a turn tells, one event each time that its reader asks. */
export type Events<Event = SessionEvent> = AsyncGenerator<Event, void, void>;

/** How a turn is run, made for this message; `setup.principal.user` owns the session. */
export interface SendDeps extends TurnDeps {
  readonly setup: TurnSetup;
  /** `chat` when absent. */
  readonly priority?: Priority;
}

/** What stops a turn. */
export interface RunSignals {
  /** Cancels this turn. */
  readonly control: AbortController;
  /** Fires when the turn must end, whoever wants it. */
  readonly ending: AbortSignal;
  /** Fires when the turn stops without an end, to go on in another process. */
  readonly suspending: AbortSignal;
}

/** One turn that is about to run. */
export interface TurnRun extends RunSignals {
  readonly turnLog: TurnLog;
  /** The newest event of the session: the user message, or what a parked turn ended with. */
  readonly recorded: StoredEvent;
  readonly resume?: Resume;
  /** Called when the turn waits for a person from now on, before that is told. */
  onParked(): void;
}

/** Where a turn is recorded, and who hears of trouble. */
export interface DriveOptions {
  readonly log: EventLog;
  /** Under which leases turns run; none where nobody else can have the log. */
  readonly lease?: LeaseTerms;
  /** Integer ms UTC. */
  now(): number;
  /** Told of a programmer error that ended a turn, with the id that the person sees. */
  report(error: unknown, id: string): void;
}

/**
 * Runs a turn for its reader, one event at a time: record, then yield, then ask for the next. A reader that leaves cancels the turn, which
 * is recorded. What is thrown becomes the turn's end; one that could not be recorded has `seq` 0.
 *
 * Without an end, and with nothing recorded, it throws AppError `turn_suspended` (the signal fired and what ran has come to a recorded
 * boundary, or the runner is gone) and `session_taken` (another gateway has the session).
 */
export async function* driveTurn(options: DriveOptions, place: TurnPlace, deps: SendDeps, run: TurnRun): Events {
  const events = runRecorded(options, place, deps, run);
  let isEnded = false;
  try {
    if (run.resume === undefined) yield run.recorded;
    while (true) {
      const next = await events.next();
      if (next.done) return;
      const event = next.value;
      if (!isDurable(event)) {
        yield event;
        continue;
      }
      if (event.type === "parked") {
        isEnded = true;
        run.onParked();
        // It waited before and nothing has happened since: said again, recorded once.
        if (run.turnLog.isParked) return yield run.recorded;
      }
      // What would begin now begins in the next process.
      if (run.suspending.aborted && (event.type === "model_request" || event.type === "tool_intent")) throw suspended();
      const stored = await run.turnLog.append(event);
      isEnded ||= isTurnEnd(stored);
      yield stored;
    }
  } catch (error) {
    isEnded = true;
    // First what runs is stopped, then it is told.
    await events.return();
    if (isLeft(error)) throw await letGo(options, place, error);
    yield await recordFailure(options, place, run.turnLog, error);
  } finally {
    if (!isEnded) await leave(options, events, run);
    await events.return();
  }
}

async function* runRecorded(
  { log, lease }: DriveOptions,
  place: TurnPlace,
  deps: SendDeps,
  run: TurnRun,
): Events<TurnEvent> {
  const { session, turn } = place;
  const lastSeq = run.recorded.seq;
  const { resume } = run;
  const own = resume === undefined ? [run.recorded] : await log.turn(session, turn);
  const asked = own.find((event) => event.type === "user_message")?.payload.asked;
  const setup = await withAsked(deps.setup, asked);
  const goesOn = resume !== undefined;
  const node = lease?.node;
  const known = await readHistory(log, session, { toSeq: lastSeq, turn, goesOn, window: setup.window });
  const input = { ...setup, session, turn, ...known, lastSeq, node, ...(resume === undefined ? {} : { resume }) };
  yield* runTurn(input, deps, run.ending);
}

/** Says that a turn stops here and goes on in another process. */
export function suspended(): AppError {
  return new AppError("turn_suspended", "The gateway is stopping; what is begun goes on after its next start");
}

/** The turn goes on elsewhere, and what is recorded of it stays as it is. */
function isLeft(error: unknown): error is AppError {
  return error instanceof AppError && LEFT.has(error.code);
}

const LEFT: ReadonlySet<ErrorCode> = new Set(["turn_suspended", "session_taken", "tool_interrupted"]);

async function letGo({ log, lease }: DriveOptions, { session }: TurnPlace, error: AppError): Promise<AppError> {
  if (error.code === "session_taken") return error;
  // One that cannot be given back runs out.
  if (lease !== undefined) await log.release(session, lease.owner).catch(() => {});
  return suspended();
}

/** The reader is gone: cancels the turn and records how it ends. */
async function leave(options: DriveOptions, events: Events<TurnEvent>, run: TurnRun): Promise<void> {
  run.control.abort("the reader left");
  try {
    for await (const event of events) {
      if (isDurable(event)) await run.turnLog.append(event);
    }
  } catch (error) {
    // Nobody is left to tell about a broken store, and the next start closes the turn.
    if (!isStoreError(error) && !isLeft(error)) options.report(error, uuidv7(options.now()));
  }
}

async function recordFailure(
  options: DriveOptions,
  place: TurnPlace,
  turnLog: TurnLog,
  error: unknown,
): Promise<StoredEvent> {
  const id = uuidv7(options.now());
  if (!(error instanceof AppError)) options.report(error, id);
  const { code, message: text } = toPublicError(error, id);
  const event = toFailed(code, text, turnLog.steps);
  try {
    return await turnLog.append(event);
  } catch (again) {
    if (!isStoreError(again)) throw again;
    return toUnrecorded(place, event, options.now());
  }
}

/** An end of a turn that says how. */
export type EarlyEnd = Extract<NewEvent, { type: "turn_failed" | "turn_cancelled" }>;

/** Of a message that never left the queue. */
export const CANCELLED_IN_QUEUE: EarlyEnd = {
  type: "turn_cancelled",
  v: 1,
  payload: { reason: "cancelled before its turn came", steps: 0 },
};

/** An end that the log does not have: `seq` 0. Pure. */
export function toUnrecorded({ session, turn }: TurnPlace, event: EarlyEnd, at: number): StoredEvent {
  return { seq: 0, session, turn, at, blobs: [], ...event };
}

/** The failure of a turn after so many model calls. Pure. */
export function toFailed(code: ErrorCode, message: string, steps: number): EarlyEnd {
  return { type: "turn_failed", v: 1, payload: { code, message, steps } };
}

/** True for the trouble of a store: the turn could not be recorded. Pure. */
export function isStoreError(error: unknown): error is AppError {
  return error instanceof AppError && error.code.startsWith("store_");
}
