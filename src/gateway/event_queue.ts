import { isStored, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";

/** An event, and the turn that it belongs to: live ones do not say so themselves. */
export interface Told {
  readonly turn: string;
  readonly event: SessionEvent;
}

/**
 * What one reader over HTTP has not taken yet, at most `toldEventsMax` events. A slow reader loses live ones, from the first that does not
 * fit to the end of that model call, whose result then has the whole text; recorded ones it reads from the log instead (`missed`).
 */
export class EventQueue {
  readonly #told: Told[] = [];
  #news = Promise.withResolvers<void>();
  #skipsLive: boolean;
  #missed: boolean;
  #looks = false;
  #isOver = false;
  #error: { readonly thrown: unknown } | undefined;

  /** With `missed`, its reader reads the log first: it comes to something that is under way. */
  constructor(options: { readonly missed: boolean }) {
    this.#missed = options.missed;
    this.#skipsLive = options.missed;
  }

  /** Takes an event, or notes that there was one. */
  tell(turn: string, event: SessionEvent): void {
    if (this.#isOver || this.#missed) return;
    const isRecorded = isStored(event);
    if (isRecorded && event.type === "model_request") this.#skipsLive = false;
    if (!isRecorded && this.#skipsLive) return;
    // Half of the room is for what is recorded.
    const room = isRecorded ? LIMITS.toldEventsMax : LIMITS.toldEventsMax / 2;
    if (this.#told.length < room) this.#told.push({ turn, event });
    else if (isRecorded) this.#missed = true;
    else this.#skipsLive = true;
    this.#ring();
  }

  /** Has the log read once more: something may have been recorded that nobody told of. Live events go on. */
  look(): void {
    this.#looks = true;
    this.#ring();
  }

  /** Nothing more comes. With `error`, its reader is thrown that after the last event. */
  end(error?: { readonly thrown: unknown }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#ring();
  }

  /** The next event; `missed` when what was recorded since has to be read from the log; undefined at the end. */
  async next(): Promise<Told | "missed" | undefined> {
    for (;;) {
      const told = this.#told.shift();
      if (told !== undefined) return told;
      if (this.#missed || this.#looks) {
        this.#skipsLive ||= this.#missed;
        // From here on events are taken again: whoever reads the log now passes over those that it has too.
        this.#missed = false;
        this.#looks = false;
        return "missed";
      }
      if (this.#error !== undefined) throw this.#error.thrown;
      if (this.#isOver) return undefined;
      await this.#news.promise;
    }
  }

  #ring(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/**
 * Every recorded event behind `after`, once and in order, and the live ones as they come, until the queue ends. `readAfter` reads the log;
 * `isWhole` says that each number of the log belongs here, so that a gap is read as well.
 */
export async function* readOn(
  queue: EventQueue,
  options: {
    readonly after: number;
    readonly isWhole: boolean;
    readonly readAfter: (seq: number) => AsyncIterable<StoredEvent>;
  },
): AsyncGenerator<Told, void, void> {
  let last = options.after;
  for (let told = await queue.next(); told !== undefined; told = await queue.next()) {
    let upTo = last;
    if (told !== "missed") {
      const seq = isStored(told.event) ? told.event.seq : 0;
      // What was never recorded has no number: live events, and an end that the store did not take.
      if (seq > 0 && seq <= last) continue;
      if (seq === 0 || !options.isWhole || seq === last + 1) {
        last = Math.max(last, seq);
        yield told;
        continue;
      }
      upTo = seq;
    }
    for await (const event of options.readAfter(last)) {
      last = event.seq;
      yield { turn: event.turn, event };
    }
    last = Math.max(last, upTo);
  }
}
