import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { EventPayloads, EventType, LiveEvent, SessionEvent, StoredEvent } from "#/core/event.ts";
import type { InboundTurn, TurnSource } from "#/gateway/turn_record.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** One turn that a test drives by hand. */
export class ScriptedTurn {
  readonly message: InboundTurn;
  readonly signal: AbortSignal;
  /** Events that the gateway has asked for. */
  pulls = 0;
  #waiting: PromiseWithResolvers<SessionEvent | undefined> | undefined;
  #pulled = Promise.withResolvers<void>();

  constructor(message: InboundTurn, signal: AbortSignal) {
    this.message = message;
    this.signal = signal;
  }

  /** Resolves when the gateway waits for the next event. */
  async asked(): Promise<void> {
    while (this.#waiting === undefined) await this.#pulled.promise;
  }

  /** Hands one event over; resolves when the gateway asks for the next one. */
  async emit(event: SessionEvent): Promise<void> {
    await this.asked();
    this.#take().resolve(event);
    await this.asked();
  }

  /** Hands the last event over, then ends. */
  async finish(event: SessionEvent): Promise<void> {
    await this.emit(event);
    await this.end();
  }

  /** Ends without an event. */
  async end(): Promise<void> {
    await this.asked();
    this.#take().resolve(undefined);
  }

  /** Throws into the gateway. */
  async fail(error: unknown): Promise<void> {
    await this.asked();
    this.#take().reject(error);
  }

  /** Stops without an end, if it runs; returns how many turns that were. */
  suspend(): number {
    if (this.#waiting === undefined) return 0;
    this.#take().reject(new AppError("turn_suspended", "the gateway is stopping"));
    return 1;
  }

  /** What the gateway consumes. */
  async *events(): AsyncGenerator<SessionEvent> {
    for (;;) {
      this.pulls++;
      this.#waiting = Promise.withResolvers();
      const waiting = this.#waiting.promise;
      this.#pulled.resolve();
      this.#pulled = Promise.withResolvers();
      const event = await waiting;
      if (event === undefined) return;
      yield event;
    }
  }

  #take(): PromiseWithResolvers<SessionEvent | undefined> {
    const waiting = this.#waiting;
    if (waiting === undefined) throw new Error("nobody asked");
    this.#waiting = undefined;
    return waiting;
  }
}

/** A session floor that does what a test says, turn by turn. */
export class ScriptedSource implements TurnSource {
  readonly turns: ScriptedTurn[] = [];
  #arrived = Promise.withResolvers<void>();
  #taken = 0;

  send(message: InboundTurn, signal: AbortSignal): AsyncIterable<SessionEvent> {
    const turn = new ScriptedTurn(message, signal);
    this.turns.push(turn);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    return turn.events();
  }

  /** What the gateway resumed, in order; their events are driven like those of a sent turn. */
  readonly resumed: (ApprovalResolution | undefined)[] = [];

  resume(
    { session, turn }: TurnPlace,
    answer: ApprovalResolution | undefined,
    signal: AbortSignal,
  ): AsyncIterable<SessionEvent> {
    this.resumed.push(answer);
    const message = { session, turn, text: "", channel: "", requestId: "", attachments: [] };
    return this.send(message, signal);
  }

  /** Turns that were ended while they waited, with the reason. */
  readonly ended: string[] = [];

  endParked({ turn }: TurnPlace, reason: string): Promise<readonly StoredEvent[]> {
    this.ended.push(`${turn}: ${reason}`);
    return Promise.resolve([stored("turn_cancelled", { reason, steps: 1 })]);
  }

  /** Turns that were suspended. */
  suspended = 0;

  suspend(): Promise<void> {
    for (const turn of this.turns) this.suspended += turn.suspend();
    return Promise.resolve();
  }

  /** The next turn that the gateway sends or resumes, in order. */
  async next(): Promise<ScriptedTurn> {
    while (this.turns.length <= this.#taken) await this.#arrived.promise;
    return this.turns[this.#taken++]!;
  }
}

/** The rest of a source whose turns never wait for a person. */
export const NEVER_PARKS: Pick<TurnSource, "resume" | "endParked" | "suspend"> = {
  async *resume() {},
  suspend: () => Promise.resolve(),
  endParked: () => Promise.resolve([]),
};

/** A source that answers each message with one delta and its end, as fast as it is pulled. */
export function echoSource(deltas: (message: InboundTurn) => Iterable<string> = (m) => [m.text]): TurnSource {
  return {
    ...NEVER_PARKS,
    async *send(message, signal) {
      yield userMessage(message.text);
      let text = "";
      for (const piece of deltas(message)) {
        // A macrotask, as a vendor's socket would be: the network gets its turn between two deltas.
        await new Promise((resolve) => setTimeout(resolve, 0));
        if (signal.aborted) {
          yield stored("turn_cancelled", { reason: "asked", steps: 0 });
          return;
        }
        text += piece;
        yield delta(piece);
      }
      yield turnDone(text);
    },
  };
}

/** A source that refuses. */
export function refusingSource(error: AppError): TurnSource {
  return {
    ...NEVER_PARKS,
    // deno-lint-ignore require-yield
    async *send() {
      await Promise.resolve();
      throw error;
    },
  };
}

/** A recorded event as the log would return it. */
export function stored<T extends EventType>(type: T, payload: EventPayloads[T], seq = 1): StoredEvent {
  return {
    seq,
    session: "s",
    turn: "t",
    type,
    v: 1,
    at: 1_700_000_000_000,
    payload,
    blobs: [],
  } as unknown as StoredEvent;
}

/** The first event of every turn. */
export function userMessage(text = "hi"): StoredEvent {
  return stored("user_message", { text, channel: "tui" });
}

/** The usual end. */
export function turnDone(text: string): StoredEvent {
  const usage = { promptTokens: 3, completionTokens: 2, totalTokens: 5 };
  return stored("turn_done", { text, finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage });
}

/** A live piece of text. */
export function delta(text: string): LiveEvent {
  return { type: "text_delta", payload: { text } };
}
