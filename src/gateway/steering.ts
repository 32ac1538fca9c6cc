import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { SessionMessage } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";
import type { SteeringMessage, SteeringSource } from "#/turn/steering.ts";

/** What became of it: the running turn has it on record, or a turn of its own does. */
export type Steered = "injected" | "queued";

/** What a person says to a turn, and how it came. */
export interface SteeringText extends SteeringMessage {
  readonly channel: string;
  readonly requestId: string;
}

/** One that nobody has recorded yet. */
interface Unrecorded extends SteeringText {
  readonly answer: PromiseWithResolvers<Steered>;
}

/**
 * What is said to one turn while it runs. A message is accepted when it is on record, not before: whoever was told so loses nothing to a
 * crash, and whoever was not says it again with the same id.
 */
export class SteeringInbox implements SteeringSource {
  readonly #waiting: Unrecorded[] = [];
  /** Of this turn, by id: also those that it has recorded. */
  readonly #known = new Map<string, Unrecorded>();
  readonly #recorded = new Set<string>();

  /** Resolves when it is known what became of the message. Rejects with AppError `queue_full` or `turn_conflict` (the id stands for another text). */
  push(message: SteeringText): Promise<Steered> {
    const known = this.#known.get(message.id);
    if (known !== undefined) {
      if (known.text === message.text) return known.answer.promise;
      return Promise.reject(new AppError("turn_conflict", `message ${message.id} was sent before with another text`));
    }
    const { steeringWaitingMax, steeringsPerTurnMax } = LIMITS;
    if (this.#known.size - this.#recorded.size >= steeringWaitingMax || this.#known.size >= steeringsPerTurnMax) {
      const text = "this turn has been sent as many messages as it takes; send this one again when it has ended";
      return Promise.reject(new AppError("queue_full", text, { params: { waiting: this.#waiting.length } }));
    }
    const made = { ...message, answer: Promise.withResolvers<Steered>() };
    made.answer.promise.catch(() => {});
    this.#known.set(message.id, made);
    this.#waiting.push(made);
    return made.answer.promise;
  }

  take(): readonly SteeringMessage[] {
    return this.#waiting.splice(0).map(({ id, text }) => ({ id, text }));
  }

  /** The turn has recorded it. */
  recorded(id: string): void {
    if (!this.#known.has(id)) return;
    this.#recorded.add(id);
    this.#known.get(id)?.answer.resolve("injected");
  }

  /** Takes nothing more: gives what was not recorded, in order. */
  close(): readonly Unrecorded[] {
    const left = [...this.#known.values()].filter(({ id }) => !this.#recorded.has(id));
    this.#known.clear();
    return left;
  }
}

/** What steering needs of the turns. */
export interface SteeringPorts<Turn> {
  readonly log: Pick<EventLog, "turn">;
  /** A turn that has not ended; `""` is the one that its session works on. */
  readonly find: (place: TurnPlace) => Turn | undefined;
  /** Makes a message a turn of its own, or finds the one that has its id. Throws AppError `cancelled`. */
  readonly queue: (message: Required<SessionMessage>) => Turn;
}

interface Steerable extends TurnPlace {
  readonly text: string;
  readonly replay: boolean;
}

interface Entry {
  readonly inbox: SteeringInbox;
  /** Settles when the turn's own message is on record, or never will be. */
  readonly begun: PromiseWithResolvers<void>;
  /** Somebody waits for that, and is nobody's client. */
  isAwaited: boolean;
}

/** Messages to turns that run. */
export class Steering<Turn extends Steerable> {
  readonly #ports: SteeringPorts<Turn>;
  readonly #entries = new WeakMap<Turn, Entry>();

  constructor(ports: SteeringPorts<Turn>) {
    this.#ports = ports;
  }

  /**
   * Takes what a person says to a turn; `""` is the one that runs. Resolves when the message is on record: in that turn or, when it ended first,
   * as the message of a turn of its own, whose id is the message's. The same id with the same text again is a retry. Rejects with AppError
   * `usage` (no such turn), `queue_full`, `turn_conflict`, `cancelled`, `store_*`.
   */
  async steer(place: TurnPlace, message: SteeringText): Promise<Steered> {
    const turn = this.#ports.find(place);
    if (turn !== undefined && !turn.replay) return await this.inbox(turn).push(message);
    return await findSteered(this.#ports.log, place, message) ?? await this.#queue(place.session, message);
  }

  /** Of this turn. */
  inbox(turn: Turn): SteeringInbox {
    return this.#entry(turn).inbox;
  }

  /** Its message is on record. */
  begun(turn: Turn): void {
    this.#entry(turn).begun.resolve();
  }

  /** It failed, or was refused. True when the one who hears of that is told here. */
  failed(turn: Turn, error: unknown): boolean {
    const { begun, isAwaited } = this.#entry(turn);
    begun.reject(error);
    return isAwaited;
  }

  /** It is over: what it has not recorded becomes turns. */
  ended(turn: Turn): void {
    const { begun, inbox } = this.#entry(turn);
    begun.reject(new AppError("cancelled", "cancelled before its turn came"));
    for (const left of inbox.close()) this.#queue(turn.session, left).then(left.answer.resolve, left.answer.reject);
  }

  /** What was said to it is nothing any more. */
  drop(turn: Turn, reason: string): void {
    for (const { answer } of this.inbox(turn).close()) answer.reject(new AppError("cancelled", reason));
  }

  async #queue(session: string, { id, text, channel, requestId }: SteeringText): Promise<Steered> {
    const turn = this.#ports.queue({ session, turn: id, text, channel, requestId, attachments: [] });
    if (turn.text !== text) throw new AppError("turn_conflict", `turn ${id} was sent with another text`);
    const entry = this.#entry(turn);
    entry.isAwaited = true;
    await entry.begun.promise;
    return "queued";
  }

  #entry(turn: Turn): Entry {
    let entry = this.#entries.get(turn);
    if (entry === undefined) {
      entry = { inbox: new SteeringInbox(), begun: Promise.withResolvers<void>(), isAwaited: false };
      entry.begun.promise.catch(() => {});
      this.#entries.set(turn, entry);
    }
    return entry;
  }
}

/**
 * What became of a message to a turn that does not run: undefined when nobody has heard of it. Throws AppError `usage` when there never was such
 * a turn (`""` is none in particular), `turn_conflict` when the id stands for another text.
 */
async function findSteered(
  log: Pick<EventLog, "turn">,
  { session, turn }: TurnPlace,
  { id, text }: SteeringMessage,
): Promise<Steered | undefined> {
  const events = turn === "" ? [] : await log.turn(session, turn);
  if (turn !== "" && events.length === 0) throw new AppError("usage", "there is no such turn");
  const recorded = events.find((event) => event.type === "steering" && event.payload.id === id);
  const own = (await log.turn(session, id)).find((event) => event.type === "user_message");
  const known = recorded ?? own;
  if (known === undefined) return undefined;
  if ((known.payload as SteeringMessage).text === text) return recorded === undefined ? "queued" : "injected";
  throw new AppError("turn_conflict", `message ${id} was sent before with another text`);
}
