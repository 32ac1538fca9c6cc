import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { type AskedOfTurn, isTurnEnd, type NewEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { type LaneBounds, Lanes, type Lease } from "#/lib/lane.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import {
  CANCELLED_IN_QUEUE,
  type DriveOptions,
  driveTurn,
  type EarlyEnd,
  type Events,
  isStoreError,
  type RunSignals,
  type SendDeps,
  suspended,
  toFailed,
  toUnrecorded,
  type TurnRun,
} from "#/session/drive.ts";
import { awaitLease, ignoreTaken, keepLease, requireLease } from "#/session/lease.ts";
import {
  cancelParked,
  closeTurn,
  isNewest,
  readTurn,
  TurnLog,
  type TurnPlace,
  type TurnText,
} from "#/session/turn_log.ts";
import { countResumes, isParked, planResume } from "#/turn/resume.ts";

/** What the sessions of one user stand on. */
export interface SessionsOptions extends DriveOptions {
  /** How many turns run and wait at once, a user. */
  readonly lanes: LaneBounds;
}

/** Whether the turns that run end as cancelled, or go on in the next process. */
export type StopHow = "suspend" | "cancel";

/** One message to a session. `turn` is unique in its session: the same id again is a retry. */
export interface SessionMessage extends TurnText {
  /** Where it came from, e.g. `cli`. */
  readonly channel: string;
  readonly requestId?: string;
  /** What a program wants of this turn; recorded with the message, so that it counts after a restart as well. */
  readonly asked?: AskedOfTurn;
}

/** A turn that an earlier process began. */
interface OpenTurn {
  readonly turn: string;
  /** It runs, or cannot now: the next message of its session need not wait for it any more. */
  readonly taken: PromiseWithResolvers<void>;
}

/**
 * Opens the sessions over a log. Turns that an earlier process left open (`open`) go on with `resume`, which whoever opens the sessions calls
 * for each of them; those that wait for a person go on waiting (`parked`). An open turn that newer ones have followed is closed with
 * `turn_failed` `turn_interrupted`.
 */
export async function openSessions(options: SessionsOptions): Promise<Sessions> {
  const { log, lease } = options;
  const parked = new Map((await log.parkedTurns()).map(({ session, turn }) => [session, turn]));
  const open = new Map<string, string>();
  for (const { session, turn } of await log.openTurns()) {
    const events = await log.turn(session, turn);
    // It had its answer and did not come to use it.
    if (isParked(events)) parked.set(session, turn);
    else if (await isNewest(log, events)) open.set(session, turn);
    else await closeTurn(log, session, turn, { lease }).catch(ignoreTaken);
  }
  return new Sessions(options, parked, open);
}

/** Where messages become turns: in order, recorded before they are seen, each at most once. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #lanes: Lanes;
  readonly #closing = new AbortController();
  readonly #suspending = new AbortController();
  /** Settles when the turn is over, and its session. */
  readonly #running = new Map<Promise<void>, string>();
  readonly #parked: Map<string, string>;
  readonly #open: Map<string, OpenTurn>;

  constructor(
    options: SessionsOptions,
    parked: ReadonlyMap<string, string> = new Map(),
    open: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#options = options;
    this.#lanes = new Lanes(options.lanes);
    this.#parked = new Map(parked);
    this.#open = new Map(
      [...open].map(([session, turn]) => [session, { turn, taken: Promise.withResolvers<void>() }]),
    );
  }

  /** Turns that wait for a person, by their session. */
  get parked(): ReadonlyMap<string, string> {
    return this.#parked;
  }

  /** Turns that an earlier process left open and that have not been resumed yet. */
  get open(): readonly TurnPlace[] {
    return [...this.#open].map(([session, { turn }]) => ({ session, turn }));
  }

  /**
   * Goes on with a turn that was left open, or with a parked one after `answer` was recorded, as `send` does; a turn that still waits parks
   * again, and nothing is recorded twice. Ends at once, with no event, when the turn is neither (any more), or when another gateway ended it.
   * While another gateway has its session, it waits.
   */
  async *resume(place: TurnPlace, answer: ApprovalResolution | undefined, deps: SendDeps, signal: AbortSignal): Events {
    const open = this.#open.get(place.session);
    try {
      if (!await this.#awaitLease(place, open, signal)) return;
      yield* this.#inLane(place, deps, signal, (run) => {
        open?.taken.resolve();
        return this.#resumeInLane(place, answer, deps, run);
      });
    } finally {
      open?.taken.resolve();
    }
  }

  /** Turns that another gateway left open since these sessions were opened, at most `leftTurnsMax`: for `resume`, as those of `open`. */
  async takeLeft(): Promise<readonly TurnPlace[]> {
    const left = await this.#options.log.leftTurns(LIMITS.leftTurnsMax);
    const running = new Set(this.#running.values());
    // What runs here is not left, however late its lease is renewed.
    const taken = left.filter(({ session }) => !running.has(session));
    for (const { session, turn } of taken) {
      if (this.#open.get(session)?.turn === turn) continue;
      this.#open.get(session)?.taken.resolve();
      this.#open.set(session, { turn, taken: Promise.withResolvers() });
    }
    return taken;
  }

  /** An open turn waits for the lease of its session; a parked one that another gateway has is left to it. */
  async #awaitLease({ session, turn }: TurnPlace, open: OpenTurn | undefined, signal: AbortSignal): Promise<boolean> {
    const { log, lease } = this.#options;
    if (lease === undefined) return true;
    if (open?.turn !== turn) {
      return this.#parked.get(session) !== turn || await log.claim(session, lease.owner, lease.ttlMs);
    }
    return await awaitLease(log, lease, session, {
      isOver: async () => {
        const isOver = (await log.turn(session, turn)).some(isTurnEnd);
        if (isOver) this.#open.delete(session);
        return isOver;
      },
      onTaken: () => open.taken.resolve(),
      signal: AbortSignal.any([signal, this.#closing.signal, this.#suspending.signal]),
    });
  }

  /** Ends a parked turn as cancelled and returns the events that say so; none when it is not parked. */
  async endParked(session: string, turn: string, reason: string): Promise<readonly StoredEvent[]> {
    if (this.#parked.get(session) !== turn) return [];
    this.#parked.delete(session);
    const { log, lease } = this.#options;
    return await cancelParked(log, { session, turn }, reason, lease);
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
   * else's session), `store_*` (the log cannot be read); and at any time, with no end, as `driveTurn`: the turn goes on elsewhere.
   */
  async *send(message: SessionMessage, deps: SendDeps, signal: AbortSignal): Events {
    if (message.text.length > LIMITS.promptCharsMax) {
      const max = LIMITS.promptCharsMax;
      throw new AppError("usage", `The message has ${message.text.length} characters; at most ${max} are taken`);
    }
    const { log } = this.#options;
    const known = await readTurn(log, message);
    if (known.some(isTurnEnd)) return yield* known;
    const open = this.#open.get(message.session);
    // What was interrupted comes before what is new.
    if (open !== undefined && open.turn !== message.turn) {
      const stopping = AbortSignal.any([signal, this.#closing.signal, this.#suspending.signal]);
      await untilAborted(open.taken.promise, stopping);
    }
    yield* this.#inLane(message, deps, signal, (run) => this.#sendInLane(message, deps, run));
  }

  async *#inLane(place: TurnPlace, deps: SendDeps, signal: AbortSignal, work: (run: RunSignals) => Events): Events {
    // A signal of our own, so that a reader that leaves or a program that stops ends the turn like a cancel does.
    const control = new AbortController();
    const ending = AbortSignal.any([signal, this.#closing.signal, control.signal]);
    const suspending = this.#suspending.signal;
    const lane = await this.#enter(place, deps, AbortSignal.any([ending, suspending]));
    if (suspending.aborted) lane?.release();
    if (suspending.aborted && !ending.aborted) throw suspended();
    if (lane === undefined) return yield this.#unrecorded(place, CANCELLED_IN_QUEUE);
    const over = Promise.withResolvers<void>();
    this.#running.set(over.promise, place.session);
    const kept = new AbortController();
    const { log, lease } = this.#options;
    if (lease !== undefined) void keepLease(log, lease, place.session, kept.signal);
    try {
      yield* work({ control, ending, suspending });
    } finally {
      kept.abort();
      lane.release();
      this.#running.delete(over.promise);
      over.resolve();
    }
  }

  /**
   * Runs `work` while no turn runs in a session, behind those that came before; one that waits there for a person is ended, one that an
   * earlier process left open does not go on. Throws AppError `queue_full`, `cancelled` when the sessions are closing, `session_taken` when
   * another gateway has the session, and what `work` throws.
   */
  async exclusive<T>(user: string, session: string, reason: string, work: () => Promise<T>): Promise<T> {
    const { log, lease } = this.#options;
    const place = await this.#lanes.enter(
      user,
      session,
      AbortSignal.any([this.#closing.signal, this.#suspending.signal]),
    );
    try {
      // Its end gives the lease back, so it comes first.
      const waiting = this.#parked.get(session);
      if (waiting !== undefined) await this.endParked(session, waiting, reason);
      await requireLease(log, lease, session);
      const kept = new AbortController();
      if (lease !== undefined) void keepLease(log, lease, session, kept.signal);
      try {
        const made = await work();
        this.#open.get(session)?.taken.resolve();
        this.#open.delete(session);
        return made;
      } finally {
        kept.abort();
        // One that cannot be given back runs out.
        if (lease !== undefined) await log.release(session, lease.owner).catch(() => {});
      }
    } finally {
      place.release();
    }
  }

  /**
   * Stops every turn, running or queued, and takes no more; resolves when their readers have read them to the end, which is for the caller to
   * bound. `cancel` ends them as cancelled, for this reason. `suspend` ends none: what runs comes to a recorded boundary, and the next process
   * goes on from there.
   */
  async stop(how: StopHow, reason: string): Promise<void> {
    (how === "cancel" ? this.#closing : this.#suspending).abort(reason);
    await Promise.all(this.#running.keys());
  }

  async #enter(message: TurnPlace, deps: SendDeps, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#lanes.enter(deps.setup.principal.user, message.session, signal, deps.priority);
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
      if (!isOver) yield* this.#goOn(message, deps, run);
      return;
    }
    const waiting = this.#parked.get(message.session);
    if (waiting !== undefined) await this.endParked(message.session, waiting, "a new message came");
    let recorded: StoredEvent;
    const turnLog = new TurnLog(log, message.session, message.turn, { lease: this.#options.lease });
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
    const isOpen = this.#open.get(session)?.turn === turn;
    if (!isOpen && this.#parked.get(session) !== turn || run.ending.aborted) return;
    const { log, lease } = this.#options;
    if (isOpen) return yield* this.#goOn(place, deps, run);
    const before = await log.turn(session, turn);
    const resume = planResume(before);
    if (resume === undefined) {
      // Another gateway has ended it.
      this.#parked.delete(session);
      if (lease !== undefined) await log.release(session, lease.owner);
      return;
    }
    const turnLog = new TurnLog(log, session, turn, { before, lease });
    let recorded = before.at(-1)!;
    if (answer !== undefined) {
      const { callId, id, by } = answer;
      recorded = await turnLog.append({
        type: "approval_answered",
        v: 1,
        payload: { callId, id, answer: answer.answer, by, node: lease?.node },
      });
      yield recorded;
    }
    yield* this.#drive(place, deps, { ...run, turnLog, recorded, resume });
  }

  /** Goes on with a turn that was interrupted, or closes it when it comes to nothing again and again, or when newer ones have followed it. */
  async *#goOn(place: TurnPlace, deps: SendDeps, run: RunSignals): Events {
    const { session, turn } = place;
    const { log, lease } = this.#options;
    this.#open.get(session)?.taken.resolve();
    this.#open.delete(session);
    await requireLease(log, lease, session);
    const before = await log.turn(session, turn);
    const resume = planResume(before);
    if (resume === undefined) return;
    if (!await isNewest(log, before)) return yield await closeTurn(log, session, turn, { lease });
    const attempt = countResumes(before) + 1;
    if (attempt > LIMITS.resumesMax) {
      const message = `The turn was interrupted ${attempt} times at the same place, so it was given up`;
      return yield await closeTurn(log, session, turn, { message, lease });
    }
    const turnLog = new TurnLog(log, session, turn, { before, lease });
    const recorded = await turnLog.append({ type: "resumed", v: 1, payload: { attempt } });
    yield recorded;
    yield* this.#drive(place, deps, { ...run, turnLog, recorded, resume });
  }

  #drive(place: TurnPlace, deps: SendDeps, run: Omit<TurnRun, "onParked">): Events {
    this.#parked.delete(place.session);
    const onParked = () => void this.#parked.set(place.session, place.turn);
    return driveTurn(this.#options, place, deps, { ...run, onParked });
  }

  #unrecorded(place: TurnPlace, event: EarlyEnd): StoredEvent {
    return toUnrecorded(place, event, this.#options.now());
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
    // Whoever says something takes it out of the archive.
    if (row.archived) await (await this.#options.log.sessions()).update(id, { archived: false });
  }
}

function toUserMessage(message: SessionMessage): NewEvent {
  const { text, channel, requestId, attachments, asked } = message;
  return {
    type: "user_message",
    v: 1,
    payload: {
      text,
      channel,
      ...(attachments === undefined || attachments.length === 0 ? {} : { attachments }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(asked === undefined ? {} : { asked }),
    },
  };
}
