import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { EventQueue } from "#/gateway/event_queue.ts";
import type { Subscriber } from "#/gateway/hub.ts";
import {
  checkSameMessage,
  endFollowers,
  type InboundTurn,
  recall,
  type RunningTurn as Turn,
  toMessage,
  toRunningTurn,
} from "#/gateway/running_turn.ts";
import type { WireTurn } from "#/gateway/server_frame.ts";
import { type Outgoing, toOpenCards, toTurn } from "#/gateway/turn_frames.ts";
import { type Steered, Steering, type SteeringText } from "#/gateway/steering.ts";
import { type TellerDeps, TurnTeller } from "#/gateway/turn_teller.ts";
import type { ActiveTurn, TurnSource } from "#/gateway/turn_source.ts";
import type { StopHow } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What running turns need. */
export interface TurnsDeps extends TellerDeps {
  readonly source: TurnSource;
  /** How many turns run or wait for their lane, after each change. */
  readonly onTurns?: (count: number) => void;
}

/** What a door over HTTP has of a turn that it watches. */
export interface JoinedTurn {
  readonly queue: EventQueue;
  /** To be called once; with `cancels`, the turn ends when this door began it and nobody else watches over HTTP. */
  readonly leave: (cancels: boolean) => void;
}

const CANCELLED = "cancelled by a client";
const SUPERSEDED = "a new message came";
const CLOSING = "the gateway is closing";
const LEFT = "the client left";
const RESTARTING = "the gateway restarts; send this again, with the same turn_id, when it is back";

/**
 * Every turn that clients have sent and that has not ended. A turn belongs to its session, not to a client: it goes on when the
 * client leaves. Nothing is buffered: the next event is pulled when the last one was published.
 */
export class Turns {
  readonly #deps: TurnsDeps;
  readonly #turns = new Map<string, Map<string, Turn>>();
  readonly #teller: TurnTeller;
  readonly #running = new Set<Promise<void>>();
  readonly #steering: Steering<Turn>;
  #stopped = false;
  #draining = false;

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
    this.#teller = new TurnTeller(deps);
    this.#steering = new Steering({
      log: deps.log,
      find: ({ session, turn }) => turn === "" ? this.#head(session) : this.#turns.get(session)?.get(turn),
      queue: (message) => this.#queue(message),
    });
  }

  /**
   * Takes a message. Resolves when the session has been asked (so that a client's messages keep their order), not when it has
   * answered. Never rejects: a refusal goes to the sender as an `error` frame.
   */
  async start(sender: Subscriber, message: InboundTurn): Promise<void> {
    const known = this.#turns.get(message.session)?.get(message.turn);
    if (known !== undefined) return await this.#retry(known, sender, message);
    if (this.#draining) return this.#teller.refuse(sender, message, new AppError("gateway_restarting", RESTARTING));
    if (this.#stopped) return this.#teller.refuse(sender, message, new AppError("cancelled", CLOSING));
    const parked = this.#parkedIn(message.session);
    if (parked === undefined) return await this.#launch({ ...message, sender, followers: new Set() });
    await this.#endParked(parked, SUPERSEDED);
    // Looked up anew: the same message may have come meanwhile.
    return await this.start(sender, message);
  }

  /** Starts a turn for a door over HTTP, or joins the one with this id. Throws AppError `turn_conflict`, `cancelled`, `gateway_restarting`. */
  async join(message: InboundTurn): Promise<JoinedTurn> {
    const known = this.#turns.get(message.session)?.get(message.turn);
    const queue = new EventQueue({ missed: known !== undefined });
    if (known === undefined) {
      if (this.#draining) throw new AppError("gateway_restarting", RESTARTING);
      if (this.#stopped) throw new AppError("cancelled", CLOSING);
      const parked = this.#parkedIn(message.session);
      if (parked !== undefined) {
        await this.#endParked(parked, SUPERSEDED);
        return await this.join(message);
      }
      void this.#launch({ ...message, sender: undefined, followers: new Set([queue]) });
    } else {
      await checkSameMessage(known, message, this.#deps.log);
      known.followers.add(queue);
      // What has ended meanwhile is all in the log.
      if (known.parked || this.#turns.get(message.session)?.get(message.turn) !== known) queue.end();
    }
    const turn = known ?? this.#turns.get(message.session)!.get(message.turn)!;
    return { queue, leave: (cancels) => this.#leave(turn, queue, cancels && known === undefined) };
  }

  #leave(turn: Turn, queue: EventQueue, cancels: boolean): void {
    turn.followers.delete(queue);
    const isOver = this.#turns.get(turn.session)?.get(turn.turn) !== turn || turn.parked;
    if (cancels && !isOver && turn.followers.size === 0) this.#cancel(turn, LEFT);
  }

  #parkedIn(session: string): Turn | undefined {
    return [...this.#turns.get(session)?.values() ?? []].find((turn) => turn.parked);
  }

  async #launch(message: Parameters<typeof toRunningTurn>[0]): Promise<void> {
    const turn = this.#register(message);
    const asked = Promise.withResolvers<void>();
    this.#track(this.#run(turn, () => this.#send(turn), asked.resolve));
    await asked.promise;
  }

  /**
   * Goes on with a turn that waits for a person, after their answer, or without one to look whether there is one; also with a turn that
   * an earlier process parked or left open. Nothing happens when it is neither. Never rejects.
   */
  resume(place: TurnPlace, answer: ApprovalResolution | undefined): void {
    const known = this.#turns.get(place.session)?.get(place.turn);
    // Whoever comes after this process asks the runner, which has the answer.
    if (this.#stopped || this.#draining) return;
    if (known !== undefined && !known.parked) {
      // It has been told that the question is open, or is told again, and has not parked yet: kept until then.
      known.early = { answer: answer ?? known.early?.answer };
      return;
    }
    const unknown = { ...place, text: "", channel: "", requestId: "", attachments: [] };
    const turn = known ?? this.#register({ ...unknown, sender: undefined, followers: new Set() });
    turn.parked = false;
    turn.started = true;
    turn.abort = new AbortController();
    const steering = this.#steering.inbox(turn);
    this.#track(this.#run(turn, () => this.#deps.source.resume(place, answer, turn.abort.signal, steering), () => {}));
  }

  /** What a person says to a turn that runs; see `Steering.steer`. */
  readonly steer = (place: TurnPlace, text: SteeringText): Promise<Steered> => this.#steering.steer(place, text);

  #queue(message: InboundTurn): Turn {
    if (this.#stopped) throw new AppError("cancelled", CLOSING);
    const known = this.#turns.get(message.session)?.get(message.turn);
    if (known !== undefined) return known;
    if (this.#draining) throw new AppError("gateway_restarting", RESTARTING);
    const turn = this.#register({ ...message, sender: undefined, followers: new Set() });
    this.#track(this.#run(turn, () => this.#send(turn), () => {}));
    return turn;
  }

  #send(turn: Turn): AsyncIterable<SessionEvent> {
    return this.#deps.source.send(toMessage(turn), turn.abort.signal, this.#steering.inbox(turn));
  }

  /** What a session waits for a person to answer, as its clients are told. */
  async approvals(session: string): Promise<readonly Outgoing[]> {
    const parked = [...this.#turns.get(session)?.values() ?? []].filter((turn) => turn.parked);
    return (await Promise.all(parked.map((turn) => this.#cards(turn)))).flat();
  }

  async #cards(turn: Turn): Promise<Outgoing[]> {
    return toOpenCards(await this.#deps.log.turn(turn.session, turn.turn), this.#teller.address(turn, "running"));
  }

  /** Cancels one turn, running or queued; `""` is the one that runs. False when there is none. */
  cancel(session: string, turnId: string): boolean {
    const turns = this.#turns.get(session);
    const turn = turnId === "" ? this.#head(session) : turns?.get(turnId);
    if (turn !== undefined) this.#cancel(turn, CANCELLED);
    return turn !== undefined;
  }

  /** Cancels everything, in the sessions that are theirs, with a reason that ends up in the record; returns how many turns that were. */
  cancelAll(reason = CANCELLED, isTheirs: (session: string) => boolean = () => true): number {
    const sessions = [...this.#turns].filter(([session]) => isTheirs(session));
    const turns = sessions.flatMap(([, session]) => [...session.values()]);
    for (const turn of turns) {
      // What was said to it and is not on record would begin a turn of its own.
      this.#steering.drop(turn, reason);
      this.#cancel(turn, reason);
    }
    return turns.length;
  }

  /**
   * Cancels what a session runs or has queued, also what was said to its turns and is not on record. Resolves when the end of one that waited for a
   * person is recorded.
   */
  async drop(session: string, reason: string): Promise<void> {
    const ends = [...this.#turns.get(session)?.values() ?? []].map((turn) => {
      this.#steering.drop(turn, reason);
      return this.#cancel(turn, reason);
    });
    await Promise.all(ends);
  }

  /** Forgets how the last turn of a session ended. */
  readonly dropOutcome = (session: string): boolean => this.#teller.dropOutcome(session);

  /** The turn that a session works on, or will work on next. */
  active(session: string): WireTurn | undefined {
    return this.running(session)?.turn;
  }

  /** The same, and how far it is. */
  running(session: string): ActiveTurn | undefined {
    const turn = this.#head(session);
    return turn && { turn: toTurn(turn.turn, "running"), said: turn.said, toldSeq: turn.toldSeq };
  }

  /** How the last turn of a session ended, while none is running; the reference tells that to a client that comes back. */
  outcome(session: string): readonly Outgoing[] {
    return this.#teller.outcome(session);
  }

  /**
   * Takes nothing more and resolves when the last turn has stopped: as cancelled, or suspended, so that the next start goes on with it.
   * Those that wait for a person go on waiting, over the stop.
   */
  async stop(how: StopHow = "suspend"): Promise<void> {
    this.#stopped = true;
    if (how === "suspend") await this.#deps.source.suspend();
    else for (const session of this.#turns.values()) for (const turn of session.values()) turn.abort.abort(CLOSING);
    await Promise.all(this.#running);
  }

  /**
   * Before an orderly restart: takes nothing new, has those that wait for their lane sent again, and resolves when nothing runs any more.
   * Turns that wait for a person go on waiting.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const session of this.#turns.values()) {
      for (const turn of session.values()) if (!turn.started) turn.abort.abort(RESTARTING);
    }
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #retry(turn: Turn, sender: Subscriber, message: InboundTurn): Promise<void> {
    try {
      await checkSameMessage(turn, message, this.#deps.log);
    } catch (error) {
      return this.#teller.refuse(sender, message, error);
    }
    turn.requestId = message.requestId;
    turn.sender = sender;
    if (turn.started) await this.#teller.tellAgain(turn, sender);
  }

  #register(turn: Parameters<typeof toRunningTurn>[0]): Turn {
    const made = toRunningTurn(turn);
    const turns = this.#turns.get(turn.session) ?? new Map<string, Turn>();
    this.#turns.set(turn.session, turns.set(turn.turn, made));
    return made;
  }

  #track(run: Promise<void>): void {
    const tracked = run.finally(() => {
      this.#running.delete(tracked);
      this.#deps.onTurns?.(this.#running.size);
    });
    this.#running.add(tracked);
    this.#deps.onTurns?.(this.#running.size);
  }

  #cancel(turn: Turn, reason: string): Promise<void> | undefined {
    if (!turn.parked) return void turn.abort.abort(reason);
    const end = this.#endParked(turn, reason);
    this.#track(end);
    return end;
  }

  async #endParked(turn: Turn, reason: string): Promise<void> {
    turn.parked = false;
    try {
      const events = await this.#deps.source.endParked(turn, reason);
      this.#remove(turn);
      for (const event of events) this.#teller.tellNow(turn, event);
    } catch (error) {
      this.#fail(turn, error);
    }
  }

  async #run(turn: Turn, toEvents: () => AsyncIterable<SessionEvent>, asked: () => void): Promise<void> {
    let ended = false;
    let parked = false;
    let waits = false;
    let isAsked = false;
    let knownSeq = 0;
    const isResumed = turn.started;
    const isInherited = isResumed && turn.sender === undefined && turn.parkedSeq === 0;
    try {
      // Without it no retry is known as one; the session must hear of the turn all the same, or what comes next waits for it.
      if (isInherited) await recall(turn, this.#deps.log).catch(() => {});
      if (!isResumed) {
        knownSeq = (await this.#deps.log.turn(turn.session, turn.turn)).at(-1)?.seq ?? 0;
        turn.replay = knownSeq > 0;
      }
      const events = toEvents();
      // The one who waits for this runs after the first pull, which follows without a pause.
      asked();
      for await (const event of events) {
        // Sent again before this process looked for what an earlier one left open: from here on it runs, and is everybody's.
        if (turn.replay && isStored(event) && event.seq > knownSeq) turn.replay = false;
        ended ||= isTurnEnd(event);
        parked = event.type === "parked";
        isAsked ||= event.type === "approval_asked";
        if (parked && isStored(event)) {
          if (turn.parkedSeq === event.seq) continue;
          turn.parkedSeq = event.seq;
        }
        // Drained in the queue: there is no trace of it, and its sender sends it again.
        if (ended && !turn.started && this.#draining) throw new AppError("gateway_restarting", RESTARTING);
        // A turn that was cancelled in the queue ends without ever having started.
        if (event.type === "resumed" || !turn.started && !ended) this.#begin(turn);
        // First out of the registry: who reads the end may send the next message at once.
        if (ended) this.#remove(turn);
        if (event.type === "steering") this.#steering.inbox(turn).recorded(event.payload.id);
        if (event.type === "model_result") await this.#teller.tell(turn, event);
        else this.#teller.tellNow(turn, event);
      }
      // A turn that did not wait any more, when it was to go on, yields nothing.
      if (!ended && !parked && !isResumed) throw new Error(`turn ${turn.turn} ended without a result`);
      waits = parked;
      turn.parked = waits;
      const isRetold = turn.replay;
      turn.replay &&= !parked;
      if (!parked || !isRetold && (!isInherited || isAsked)) return;
      // Who came while this process looked whether an earlier one's question is still open has not been told of it.
      const cards = await this.#cards(turn);
      if (turn.parked) this.#teller.publish(turn, cards);
    } catch (error) {
      if (ended && turn.started) this.#deps.report(error, crypto.randomUUID());
      else this.#fail(turn, error);
    } finally {
      // Not `turn.parked`: an answer may have set it going again by now, and then that run removes it.
      if (!waits) this.#remove(turn);
      asked();
      this.#takeEarly(turn);
      if (!waits || turn.parked) endFollowers(turn);
    }
  }

  #takeEarly(turn: Turn): void {
    const { early } = turn;
    if (!turn.parked || early === undefined) return;
    turn.early = undefined;
    this.resume(turn, early.answer);
  }

  #begin(turn: Turn): void {
    turn.started = true;
    this.#steering.begun(turn);
    this.#teller.begin(turn);
  }

  #fail(turn: Turn, error: unknown): void {
    const cancelled = error instanceof AppError && error.code === "cancelled";
    const isKnown = turn.sender !== undefined || turn.followers.size > 0;
    endFollowers(turn, { thrown: error });
    // A message of nobody who is connected: whoever said it to a turn before hears of it.
    const isTold = this.#steering.failed(turn, error) && !turn.started;
    // Nothing became of it: its clients see the gateway close, or are told that another one has it.
    const isTaken = error instanceof AppError && error.code === "session_taken";
    const isLeft = isTaken || error instanceof AppError && error.code === "turn_suspended";
    if (isTold || isLeft && (turn.started || turn.sender === undefined)) {
      this.#remove(turn);
      if (isTaken && turn.started) this.#teller.tellLeft(turn, error);
      return;
    }
    if (!turn.started && !cancelled && isKnown) {
      this.#remove(turn);
      if (turn.sender !== undefined) this.#teller.refuse(turn.sender, toMessage(turn), error);
      return;
    }
    this.#remove(turn);
    this.#teller.tellFailed(turn, error);
  }

  #head(session: string): Turn | undefined {
    const turns = [...this.#turns.get(session)?.values() ?? []].filter((turn) => !turn.replay);
    return turns.find((turn) => turn.started) ?? turns[0];
  }

  #remove(turn: Turn): void {
    const turns = this.#turns.get(turn.session);
    if (turns?.get(turn.turn) !== turn) return;
    turns.delete(turn.turn);
    if (turns.size === 0) this.#turns.delete(turn.session);
    this.#steering.ended(turn);
  }
}
