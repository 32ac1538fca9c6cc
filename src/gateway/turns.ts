import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { type BlobRef, isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { Hub, Subscriber } from "#/gateway/hub.ts";
import { toMediaFrame } from "#/gateway/media_frame.ts";
import { toFrame, type TurnAddress, type WireTurn } from "#/gateway/server_frame.ts";
import { isSameMessage, toMessage } from "#/gateway/turn_message.ts";
import { joinPair, type Outgoing, toOpenCards, toTurn, toTurnFrames } from "#/gateway/turn_frames.ts";
import { type InboundTurn, toTurnRecord, type Turn, type TurnSource } from "#/gateway/turn_record.ts";
import { type Steered, Steering, type SteeringText } from "#/gateway/steering.ts";
import type { StopHow } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What running turns need. */
export interface TurnsDeps {
  readonly source: TurnSource;
  readonly log: Pick<EventLog, "turn" | "blob">;
  readonly hub: Hub;
  readonly user: string;
  /** Told of an error that nobody outside may read, under the id that the client was given. */
  readonly report: (error: unknown, id: string) => void;
  /** How many turns run or wait for their lane, after each change. */
  readonly onTurns?: (count: number) => void;
}

const CANCELLED = "cancelled by a client";
const SUPERSEDED = "a new message came";
const CLOSING = "the gateway is closing";
const RESTARTING = "the gateway restarts; send this again, with the same turn_id, when it is back";

/**
 * Every turn that clients have sent and that has not ended. A turn belongs to its session, not to a client: it goes on when the
 * client leaves. Nothing is buffered: the next event is pulled when the last one was published.
 */
export class Turns {
  readonly #deps: TurnsDeps;
  readonly #turns = new Map<string, Map<string, Turn>>();
  readonly #outcomes = new Map<string, readonly Outgoing[]>();
  readonly #running = new Set<Promise<void>>();
  readonly #steering: Steering<Turn>;
  #stopped = false;
  #draining = false;

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
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
    if (this.#draining) return this.#refuse(sender, message, new AppError("gateway_restarting", RESTARTING));
    if (this.#stopped) return this.#refuse(sender, message, new AppError("cancelled", CLOSING));
    const parked = [...this.#turns.get(message.session)?.values() ?? []].find((turn) => turn.parked);
    if (parked !== undefined) await this.#endParked(parked, SUPERSEDED);
    const turn = this.#register({ ...message, sender });
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
      // It has been told that the question is open and has not parked yet: kept until then.
      if (answer !== undefined) known.early = answer;
      return;
    }
    const unknown = { ...place, text: "", channel: "", requestId: "", attachments: [], sender: undefined };
    const turn = known ?? this.#register(unknown);
    turn.parked = false;
    turn.started = true;
    turn.abort = new AbortController();
    this.#track(this.#run(
      turn,
      () => this.#deps.source.resume(place, answer, turn.abort.signal, this.#steering.inbox(turn)),
      () => {},
    ));
  }

  /** What a person says to a turn that runs; see `Steering.steer`. */
  readonly steer = (place: TurnPlace, text: SteeringText): Promise<Steered> => this.#steering.steer(place, text);

  #queue(message: InboundTurn): Turn {
    if (this.#stopped) throw new AppError("cancelled", CLOSING);
    const known = this.#turns.get(message.session)?.get(message.turn);
    if (known !== undefined) return known;
    const turn = this.#register({ ...message, sender: undefined });
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
    return toOpenCards(await this.#deps.log.turn(turn.session, turn.turn), this.#address(turn, "running"));
  }

  /** Cancels one turn, running or queued; `""` is the one that runs. False when there is none. */
  cancel(session: string, turnId: string): boolean {
    const turns = this.#turns.get(session);
    const turn = turnId === "" ? this.#head(session) : turns?.get(turnId);
    if (turn !== undefined) this.#cancel(turn, CANCELLED);
    return turn !== undefined;
  }

  /** Cancels everything, with a reason that ends up in the record; returns how many turns that were. */
  cancelAll(reason = CANCELLED): number {
    const turns = [...this.#turns.values()].flatMap((session) => [...session.values()]);
    for (const turn of turns) this.#cancel(turn, reason);
    return turns.length;
  }

  /** Cancels what a session runs or has queued, also what was said to its turns and is not on record. */
  drop(session: string, reason: string): void {
    for (const turn of [...this.#turns.get(session)?.values() ?? []]) {
      this.#steering.drop(turn, reason);
      this.#cancel(turn, reason);
    }
  }

  /** Forgets how the last turn of a session ended. */
  dropOutcome(session: string): void {
    this.#outcomes.delete(session);
  }

  /** The turn that a session works on, or will work on next. */
  active(session: string): WireTurn | undefined {
    const turn = this.#head(session);
    return turn === undefined ? undefined : toTurn(turn.turn, "running");
  }

  /** How the last turn of a session ended, while none is running; the reference tells that to a client that comes back. */
  outcome(session: string): readonly Outgoing[] {
    return this.#outcomes.get(session) ?? [];
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
    await this.#recall(turn).catch(() => {});
    if (!isSameMessage(turn, message)) {
      const error = new AppError("turn_conflict", `turn ${turn.turn} is running with another message`);
      return this.#refuse(sender, message, error);
    }
    turn.requestId = message.requestId;
    turn.sender = sender;
    if (!turn.started) return;
    const address = this.#address(turn, "running");
    this.#deps.hub.deliver(sender, toFrame("turn_started", address));
    if (!sender.knows.turnEvents) return;
    // What its sender missed; events of the next moment may come before these, and say their place.
    const events = await this.#deps.log.turn(turn.session, turn.turn).catch(() => []);
    for (const event of events) this.#deps.hub.deliver(sender, toTurnFrames(event, address)[0]!.frame);
  }

  /** What an inherited turn was asked, from the log: the same message again is a retry of it. */
  async #recall(turn: Turn): Promise<void> {
    if (turn.sender !== undefined || turn.text !== "") return;
    const events = await this.#deps.log.turn(turn.session, turn.turn);
    const asked = events.find((event) => event.type === "user_message")?.payload;
    if (asked === undefined) return;
    const { text, channel, attachments = [], requestId = "" } = asked;
    Object.assign(turn, { text, channel, attachments, requestId });
  }

  #register(turn: InboundTurn & Pick<Turn, "sender">): Turn {
    const made = toTurnRecord(turn);
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

  #cancel(turn: Turn, reason: string): void {
    if (turn.parked) this.#track(this.#endParked(turn, reason));
    else turn.abort.abort(reason);
  }

  async #endParked(turn: Turn, reason: string): Promise<void> {
    turn.parked = false;
    try {
      const events = await this.#deps.source.endParked(turn, reason);
      this.#remove(turn);
      for (const event of events) this.#tell(turn, event);
    } catch (error) {
      this.#fail(turn, error);
    }
  }

  async #run(turn: Turn, toEvents: () => AsyncIterable<SessionEvent>, asked: () => void): Promise<void> {
    let ended = false;
    let parked = false;
    let waits = false;
    let isAsked = false;
    const isResumed = turn.started;
    const isInherited = isResumed && turn.sender === undefined && turn.parkedSeq === 0;
    try {
      if (isInherited) await this.#recall(turn);
      if (!isResumed) turn.replay = (await this.#deps.log.turn(turn.session, turn.turn)).length > 0;
      const events = toEvents();
      // The one who waits for this runs after the first pull, which follows without a pause.
      asked();
      for await (const event of events) {
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
        this.#tell(turn, event);
        if (event.type === "model_result") await this.#tellMedia(turn, event.payload.media ?? []);
      }
      // A turn that did not wait any more, when it was to go on, yields nothing.
      if (!ended && !parked && !isResumed) throw new Error(`turn ${turn.turn} ended without a result`);
      waits = parked && !turn.replay;
      turn.parked = waits;
      if (!parked || !isInherited || isAsked) return;
      // Who came while this process looked whether an earlier one's question is still open has not been told of it.
      const cards = await this.#cards(turn);
      if (turn.parked) this.#publish(turn, cards);
    } catch (error) {
      if (ended && turn.started) this.#deps.report(error, crypto.randomUUID());
      else this.#fail(turn, error);
    } finally {
      // Not `turn.parked`: an answer may have set it going again by now, and then that run removes it.
      if (!waits) this.#remove(turn);
      asked();
      this.#takeEarly(turn);
    }
  }

  #takeEarly(turn: Turn): void {
    const { early } = turn;
    if (!turn.parked || early === undefined) return;
    turn.early = undefined;
    this.resume(turn, early);
  }

  #begin(turn: Turn): void {
    turn.started = true;
    this.#steering.begun(turn);
    if (!turn.replay) this.#outcomes.delete(turn.session);
    this.#publish(turn, [{ frame: toFrame("turn_started", this.#address(turn, "running")), droppable: false }]);
  }

  #tell(turn: Turn, event: SessionEvent): void {
    let shown = event;
    if (event.type === "steering") this.#steering.inbox(turn).recorded(event.payload.id);
    if (event.type === "text_delta") {
      const pair = joinPair(turn.waiting, event.payload.text);
      turn.waiting = pair.waiting;
      if (pair.text === "") return;
      shown = { ...event, payload: { text: pair.text } };
    }
    const outgoing = toTurnFrames(shown, this.#address(turn, "running"));
    if (isTurnEnd(event)) this.#keep(turn, outgoing.slice(-1));
    this.#publish(turn, outgoing);
  }

  /** What the model made, as the log has it. One that cannot be read takes nothing else with it. */
  async #tellMedia(turn: Turn, made: readonly BlobRef[]): Promise<void> {
    const { request_id, session } = this.#address(turn, "running");
    for (const blob of made) {
      try {
        const content = await this.#deps.log.blob(blob.sha256);
        if (content === undefined) throw new Error(`blob ${blob.sha256} of turn ${turn.turn} is not in the log`);
        this.#publish(turn, [{ frame: toMediaFrame({ ...blob, content }, { request_id, session }), droppable: false }]);
      } catch (error) {
        this.#deps.report(error, crypto.randomUUID());
      }
    }
  }

  #fail(turn: Turn, error: unknown): void {
    const cancelled = error instanceof AppError && error.code === "cancelled";
    // Nothing became of it: its clients see the gateway close, or what the other gateway makes of it.
    const isLeft = error instanceof AppError && (error.code === "turn_suspended" || error.code === "session_taken");
    if (isLeft && (turn.started || turn.sender === undefined)) return this.#remove(turn);
    // A message of nobody who is connected: whoever said it to a turn before hears of it.
    if (this.#steering.failed(turn, error) && !turn.started) return this.#remove(turn);
    if (!turn.started && !cancelled && turn.sender) return this.#refuse(turn.sender, toMessage(turn), error);
    this.#remove(turn);
    const frame = cancelled
      ? toFrame("turn_cancelled", this.#address(turn, "cancelled"))
      : toFrame("error", { ...this.#address(turn, "failed"), ...this.#public(error) });
    const outgoing = [{ frame, droppable: false }];
    this.#keep(turn, outgoing);
    this.#publish(turn, outgoing);
  }

  #refuse(sender: Subscriber, message: InboundTurn, error: unknown): void {
    const session = { user_id: this.#deps.user, session_id: message.session };
    this.#deps.hub.deliver(
      sender,
      toFrame("error", { request_id: message.requestId, session, ...this.#public(error) }),
    );
  }

  #public(error: unknown): ReturnType<typeof toPublicError> {
    const id = crypto.randomUUID();
    if (!(error instanceof AppError)) this.#deps.report(error, id);
    return toPublicError(error, id);
  }

  #publish(turn: Turn, outgoing: readonly Outgoing[]): void {
    if (!turn.replay) return this.#deps.hub.publish(turn.session, outgoing);
    for (const { frame } of outgoing) if (turn.sender) this.#deps.hub.deliver(turn.sender, frame);
  }

  #keep(turn: Turn, outgoing: readonly Outgoing[]): void {
    if (turn.replay) return;
    this.#outcomes.delete(turn.session);
    this.#outcomes.set(turn.session, outgoing);
    const [oldest] = this.#outcomes.keys();
    if (this.#outcomes.size > LIMITS.outcomesKeptMax && oldest !== undefined) this.#outcomes.delete(oldest);
  }

  #address(turn: Turn, state: WireTurn["state"]): TurnAddress {
    return {
      request_id: turn.requestId,
      session: { user_id: this.#deps.user, session_id: turn.session },
      turn: toTurn(turn.turn, state),
    };
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
