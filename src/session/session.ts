import type { ApprovalResolution } from "#/core/capability.ts";
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
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { type LaneBounds, Lanes, type Lease } from "#/lib/lane.ts";
import {
  cancelParked,
  closeTurn,
  readHistory,
  readTurn,
  TurnLog,
  type TurnPlace,
  type TurnText,
} from "#/session/turn_log.ts";
import { isParked, planResume, type Resume } from "#/turn/resume.ts";
import { runTurn, type TurnDeps, type TurnSetup } from "#/turn/turn.ts";

/** What the sessions of one user stand on. */
export interface SessionsOptions {
  readonly log: EventLog;
  /** How many turns run and wait at once, a user. */
  readonly lanes: LaneBounds;
  /** Integer ms UTC. */
  now(): number;
  /** Told of a programmer error that ended a turn, with the id that the person sees. */
  report(error: unknown, id: string): void;
}

/** One message to a session. `turn` is unique in its session: the same id again is a retry. */
export interface SessionMessage extends TurnText {
  /** Where it came from, e.g. `cli`. */
  readonly channel: string;
  readonly requestId?: string;
}

/** What a turn tells, one event each time that its reader asks. */
type Events<Event = SessionEvent> = AsyncGenerator<Event, void, void>;

/** How a turn is run, made for this message; `setup.principal.user` owns the session. */
export interface SendDeps extends TurnDeps {
  readonly setup: TurnSetup;
}

/**
 * Opens the sessions over a log. Turns that an earlier process left open are closed with `turn_failed` `turn_interrupted`; those that wait
 * for a person go on waiting (`parked`).
 */
export async function openSessions(options: SessionsOptions): Promise<Sessions> {
  const parked = new Map((await options.log.parkedTurns()).map(({ session, turn }) => [session, turn]));
  for (const { session, turn } of await options.log.openTurns()) {
    // It had its answer and did not come to use it.
    if (isParked(await options.log.turn(session, turn))) parked.set(session, turn);
    else await closeTurn(options.log, session, turn);
  }
  return new Sessions(options, parked);
}

/** Where messages become turns: in order, recorded before they are seen, each at most once. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #lanes: Lanes;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #parked: Map<string, string>;

  constructor(options: SessionsOptions, parked: ReadonlyMap<string, string> = new Map()) {
    this.#options = options;
    this.#lanes = new Lanes(options.lanes);
    this.#parked = new Map(parked);
  }

  /** Turns that wait for a person, by their session. */
  get parked(): ReadonlyMap<string, string> {
    return this.#parked;
  }

  /**
   * Goes on with a parked turn, as `send` does, after `answer` was recorded; a turn that still waits parks again, and nothing is recorded
   * twice. Ends at once, with no event, when the turn is not parked (any more).
   */
  async *resume(place: TurnPlace, answer: ApprovalResolution | undefined, deps: SendDeps, signal: AbortSignal): Events {
    yield* this.#inLane(place, deps, signal, (run) => this.#resumeInLane(place, answer, deps, run));
  }

  /** Ends a parked turn as cancelled and returns the events that say so; none when it is not parked. */
  async endParked(session: string, turn: string, reason: string): Promise<readonly StoredEvent[]> {
    if (this.#parked.get(session) !== turn) return [];
    this.#parked.delete(session);
    return await cancelParked(this.#options.log, session, turn, reason);
  }

  /**
   * Runs one turn and yields its events: durable ones with their place in the log, after they were recorded; live ones as they come.
   * The last event ends the turn or parks it. The reader drives it: nothing starts before the reader asks for what follows its intent. A reader that
   * leaves (`return()`) cancels the turn, which is recorded.
   *
   * A turn waits while another one of its session runs, or too many of its user do. The same turn id again, with the same text, waits
   * for the first to end and yields its recorded events; nothing runs twice.
   *
   * An end that could not be recorded is yielded with `seq` 0: `turn_failed` with a `store_*` code when the store fails (what was
   * recorded stays), `turn_cancelled` when a message was cancelled in the queue, where it leaves no trace. Throws AppError before
   * anything is recorded: `usage` (text too long), `queue_full`, `turn_conflict` (id used for another text), `session_unknown` (someone
   * else's session), `store_*` (the log cannot be read).
   */
  async *send(message: SessionMessage, deps: SendDeps, signal: AbortSignal): Events {
    if (message.text.length > LIMITS.promptCharsMax) {
      const max = LIMITS.promptCharsMax;
      throw new AppError("usage", `The message has ${message.text.length} characters; at most ${max} are taken`);
    }
    const { log } = this.#options;
    const known = await readTurn(log, message);
    if (known.some(isTurnEnd)) return yield* known;
    yield* this.#inLane(message, deps, signal, (run) => this.#sendInLane(message, deps, run));
  }

  async *#inLane(place: TurnPlace, deps: SendDeps, signal: AbortSignal, work: (run: RunSignals) => Events): Events {
    // A signal of our own, so that a reader that leaves or a program that stops ends the turn like a cancel does.
    const control = new AbortController();
    const ending = AbortSignal.any([signal, this.#closing.signal, control.signal]);
    const lease = await this.#enter(place, deps, ending);
    if (lease === undefined) return yield this.#unrecorded(place, CANCELLED_IN_QUEUE);
    const over = Promise.withResolvers<void>();
    this.#running.add(over.promise);
    try {
      yield* work({ control, ending });
    } finally {
      lease.release();
      this.#running.delete(over.promise);
      over.resolve();
    }
  }

  /** Cancels every turn, running or queued, and resolves when their readers have read them to the end. Later messages are cancelled. */
  async close(reason: string): Promise<void> {
    this.#closing.abort(reason);
    await Promise.all(this.#running);
  }

  async #enter(message: TurnPlace, deps: SendDeps, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#lanes.enter(deps.setup.principal.user, message.session, signal);
    } catch (error) {
      if (error instanceof AppError && error.code === "cancelled") return undefined;
      throw error;
    }
  }

  async *#sendInLane(message: SessionMessage, deps: SendDeps, run: RunSignals): Events {
    const { log } = this.#options;
    // Whoever had the lane before may have run this very turn.
    const known = await readTurn(log, message);
    // It got the lane in the moment in which it was cancelled: like one that still waits, it leaves no trace.
    if (known.length === 0 && run.ending.aborted) return yield this.#unrecorded(message, CANCELLED_IN_QUEUE);
    if (known.length > 0) {
      yield* known;
      const isOver = known.some(isTurnEnd) || this.#parked.get(message.session) === message.turn;
      if (!isOver) yield await closeTurn(log, message.session, message.turn);
      return;
    }
    const waiting = this.#parked.get(message.session);
    if (waiting !== undefined) await this.endParked(message.session, waiting, "a new message came");
    let recorded: StoredEvent;
    const turnLog = new TurnLog(log, message.session, message.turn);
    try {
      await this.#ensureSession(message, deps);
      recorded = await turnLog.append(toUserMessage(message));
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return yield this.#unrecorded(message, toFailed(error.code, error.message, 0));
    }
    yield* this.#drive(message, deps, { ...run, turnLog, recorded });
  }

  async *#resumeInLane(
    place: TurnPlace,
    answer: ApprovalResolution | undefined,
    deps: SendDeps,
    run: RunSignals,
  ): Events {
    const { session, turn } = place;
    if (this.#parked.get(session) !== turn || run.ending.aborted) return;
    const { log } = this.#options;
    const before = await log.turn(session, turn);
    const turnLog = new TurnLog(log, session, turn, before);
    let recorded = before.at(-1)!;
    if (answer !== undefined) {
      const { callId, id, by } = answer;
      recorded = await turnLog.append({
        type: "approval_answered",
        v: 1,
        payload: { callId, id, answer: answer.answer, by },
      });
      yield recorded;
    }
    const resume = planResume(before);
    if (resume === undefined) return;
    this.#parked.delete(session);
    yield* this.#drive(place, deps, { ...run, turnLog, recorded, resume });
  }

  async #ensureSession(message: SessionMessage, deps: SendDeps): Promise<void> {
    const { user, agent } = deps.setup.principal;
    const { session: id, channel } = message;
    const row = await this.#options.log.ensureSession({
      id,
      user,
      agent: agent[0] ?? "default",
      channel,
      displayName: null,
      parent: null,
    });
    // The same words as for a session that is not there: whose it is, is nobody's business.
    if (row.user !== user) throw new AppError("session_unknown", `There is no session ${id}`);
  }

  /** Reads the turn one event at a time: record, then yield, then ask for the next. */
  async *#drive(message: TurnPlace, deps: SendDeps, run: TurnRun): Events {
    const events = this.#runRecorded(message, deps, run);
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
          this.#parked.set(message.session, message.turn);
          // It waited before and nothing has happened since: said again, recorded once.
          if (run.turnLog.isParked) return yield run.recorded;
        }
        const stored = await run.turnLog.append(event);
        isEnded ||= isTurnEnd(stored);
        yield stored;
      }
    } catch (error) {
      isEnded = true;
      // First what runs is stopped, then it is told.
      await events.return();
      yield await this.#fail(message, run.turnLog, error);
    } finally {
      if (!isEnded) await this.#leave(events, run);
      await events.return();
    }
  }

  async *#runRecorded(message: TurnPlace, deps: SendDeps, run: TurnRun): Events<TurnEvent> {
    const { session, turn } = message;
    const lastSeq = run.recorded.seq;
    const { resume } = run;
    const history = await readHistory(this.#options.log, session, {
      toSeq: lastSeq,
      turn,
      goesOn: resume !== undefined,
    });
    const input = { ...deps.setup, session, turn, history, lastSeq, ...(resume === undefined ? {} : { resume }) };
    yield* runTurn(input, deps, run.ending);
  }

  /** The reader is gone: cancels the turn and records how it ends. */
  async #leave(events: Events<TurnEvent>, run: TurnRun): Promise<void> {
    run.control.abort("the reader left");
    try {
      for await (const event of events) {
        if (isDurable(event)) await run.turnLog.append(event);
      }
    } catch (error) {
      // Nobody is left to tell about a broken store, and the next start closes the turn.
      if (!isStoreError(error)) this.#options.report(error, this.#newId());
    }
  }

  async #fail(message: TurnPlace, turnLog: TurnLog, error: unknown): Promise<StoredEvent> {
    const id = this.#newId();
    if (!(error instanceof AppError)) this.#options.report(error, id);
    const { code, message: text } = toPublicError(error, id);
    const event = toFailed(code, text, turnLog.steps);
    try {
      return await turnLog.append(event);
    } catch (again) {
      if (!isStoreError(again)) throw again;
      return this.#unrecorded(message, event);
    }
  }

  #unrecorded(message: TurnPlace, event: TurnEnd): StoredEvent {
    const { session, turn } = message;
    return { seq: 0, session, turn, at: this.#options.now(), blobs: [], ...event };
  }

  #newId(): string {
    return uuidv7(this.#options.now());
  }
}

interface RunSignals {
  /** Cancels this turn. */
  readonly control: AbortController;
  /** Fires when the turn must end, whoever wants it. */
  readonly ending: AbortSignal;
}

interface TurnRun extends RunSignals {
  readonly turnLog: TurnLog;
  /** The newest event of the session: the user message, or what a parked turn ended with. */
  readonly recorded: StoredEvent;
  readonly resume?: Resume;
}

type TurnEnd = Extract<NewEvent, { type: "turn_failed" | "turn_cancelled" }>;

const CANCELLED_IN_QUEUE: TurnEnd = {
  type: "turn_cancelled",
  v: 1,
  payload: { reason: "cancelled before its turn came", steps: 0 },
};

function toFailed(code: ErrorCode, message: string, steps: number): TurnEnd {
  return { type: "turn_failed", v: 1, payload: { code, message, steps } };
}

function toUserMessage(message: SessionMessage): NewEvent {
  const { text, channel, requestId, attachments } = message;
  return {
    type: "user_message",
    v: 1,
    payload: {
      text,
      channel,
      ...(attachments === undefined || attachments.length === 0 ? {} : { attachments }),
      ...(requestId === undefined ? {} : { requestId }),
    },
  };
}

function isStoreError(error: unknown): error is AppError {
  return error instanceof AppError && error.code.startsWith("store_");
}
