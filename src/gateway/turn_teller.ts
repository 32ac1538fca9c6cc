import { AppError } from "#/core/error.ts";
import { type BlobRef, isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { Hub, Subscriber } from "#/gateway/hub.ts";
import { toMediaFrame } from "#/gateway/media_frame.ts";
import type { InboundTurn, RunningTurn } from "#/gateway/running_turn.ts";
import { toFrame, toTold, type TurnAddress, type WireTurn } from "#/gateway/server_frame.ts";
import { joinPair, type Outgoing, toTurn, toTurnFrames } from "#/gateway/turn_frames.ts";

/** What telling of turns needs. */
export interface TellerDeps {
  readonly hub: Hub;
  readonly log: Pick<EventLog, "turn" | "blob">;
  readonly user: string;
  /** Told of an error that nobody outside may read, under the id that the client was given. */
  readonly report: (error: unknown, id: string) => void;
  /** A turn has ended, and its clients were told. */
  readonly onEnd?: (ended: TurnAddress) => void;
}

/** Says what becomes of turns to whoever watches, and remembers how the last one of each session ended. Nothing waits for a reader. */
export class TurnTeller {
  readonly #deps: TellerDeps;
  readonly #outcomes = new Map<string, readonly Outgoing[]>();

  constructor(deps: TellerDeps) {
    this.#deps = deps;
  }

  /** Whose turn, and how it stands. */
  address(turn: RunningTurn, state: WireTurn["state"]): TurnAddress {
    return {
      request_id: turn.requestId,
      session: { user_id: this.#deps.user, session_id: turn.session },
      turn: toTurn(turn.turn, state),
    };
  }

  /** The turn has left its queue, or goes on. */
  begin(turn: RunningTurn): void {
    if (!turn.replay) this.#outcomes.delete(turn.session);
    this.publish(turn, [{ frame: toFrame("turn_started", this.address(turn, "running")), droppable: false }]);
  }

  /** An event of it. What the model made comes behind its result, read from the log. */
  async tell(turn: RunningTurn, event: SessionEvent): Promise<void> {
    this.tellNow(turn, event);
    if (event.type === "model_result") await this.#tellMedia(turn, event.payload.media ?? [], event.seq);
  }

  /** The same, without what lies beside the log. */
  tellNow(turn: RunningTurn, event: SessionEvent): void {
    if (!turn.replay) this.#deps.hub.tell(turn.session, { turn: turn.turn, event });
    for (const follower of turn.followers) follower.tell(turn.turn, event);
    let shown = event;
    if (event.type === "text_delta") {
      const pair = joinPair(turn.waiting, event.payload.text);
      turn.waiting = pair.waiting;
      if (pair.text === "") return;
      turn.said += pair.text;
      shown = { ...event, payload: { text: pair.text } };
    }
    if (isStored(event)) turn.toldSeq = event.seq;
    if (event.type === "model_request" || event.type === "model_result") turn.said = "";
    const address = this.address(turn, "running");
    const outgoing = toTurnFrames(shown, address);
    if (isTurnEnd(event)) this.#keep(turn, outgoing.slice(-1));
    this.publish(turn, outgoing);
    if (isTurnEnd(event) && !turn.replay) this.#deps.onEnd?.(address);
  }

  /** What one who sends a running turn again, and has not resumed, has missed; events of the next moment may come before these, and say their place. */
  async tellAgain(turn: RunningTurn, sender: Subscriber): Promise<void> {
    const address = this.address(turn, "running");
    this.#deps.hub.deliver(sender, toFrame("turn_started", address));
    // Whoever resumed is told of each event once, and has been or will be told of these.
    if (!sender.knows.turnEvents || sender.catchUp !== undefined) return;
    const events = await this.#deps.log.turn(turn.session, turn.turn).catch(() => []);
    for (const event of events) this.#deps.hub.deliver(sender, toTurnFrames(event, address)[0]!.frame);
  }

  /** It ended without an event that says so: cancelled before it began, or broken. */
  tellFailed(turn: RunningTurn, error: unknown): void {
    const isCancelled = error instanceof AppError && error.code === "cancelled";
    const frame = isCancelled
      ? toFrame("turn_cancelled", this.address(turn, "cancelled"))
      : toFrame("error", { ...this.address(turn, "failed"), ...toTold(error, this.#deps) });
    const outgoing = [{ frame, droppable: false }];
    this.#keep(turn, outgoing);
    this.publish(turn, outgoing);
  }

  /** It goes on, but nothing more of it is told here. */
  tellLeft(turn: RunningTurn, error: AppError): void {
    const frame = toFrame("error", { ...this.address(turn, "running"), ...toTold(error, this.#deps) });
    this.publish(turn, [{ frame, droppable: false }]);
  }

  /** Nothing became of a message: told to its sender alone. */
  refuse(sender: Subscriber, message: InboundTurn, error: unknown): void {
    const session = { user_id: this.#deps.user, session_id: message.session };
    this.#deps.hub.deliver(
      sender,
      toFrame("error", { request_id: message.requestId, session, ...toTold(error, this.#deps) }),
    );
  }

  /** To everyone who watches the session; of a turn that is told again, to its sender. */
  publish(turn: RunningTurn, outgoing: readonly Outgoing[]): void {
    if (!turn.replay) return this.#deps.hub.publish(turn.session, outgoing);
    for (const { frame } of outgoing) if (turn.sender) this.#deps.hub.deliver(turn.sender, frame);
  }

  /** How the last turn of a session ended, while none is running. */
  outcome(session: string): readonly Outgoing[] {
    return this.#outcomes.get(session) ?? [];
  }

  /** Forgets it. */
  dropOutcome(session: string): boolean {
    return this.#outcomes.delete(session);
  }

  /** One that cannot be read takes nothing else with it. */
  async #tellMedia(turn: RunningTurn, made: readonly BlobRef[], seq: number): Promise<void> {
    const { request_id, session } = this.address(turn, "running");
    for (const blob of made) {
      try {
        const content = await this.#deps.log.blob(blob.sha256);
        if (content === undefined) throw new Error(`blob ${blob.sha256} of turn ${turn.turn} is not in the log`);
        const frame = toMediaFrame({ ...blob, content }, { request_id, session });
        this.publish(turn, [{ frame, droppable: false, seq }]);
      } catch (error) {
        this.#deps.report(error, crypto.randomUUID());
      }
    }
  }

  #keep(turn: RunningTurn, outgoing: readonly Outgoing[]): void {
    if (turn.replay) return;
    this.#outcomes.delete(turn.session);
    this.#outcomes.set(turn.session, outgoing);
    const [oldest] = this.#outcomes.keys();
    if (this.#outcomes.size > LIMITS.outcomesKeptMax && oldest !== undefined) this.#outcomes.delete(oldest);
  }
}
