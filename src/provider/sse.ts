import { createParser } from "eventsource-parser";

/** An `error` object that a vendor sent inside its stream. */
export class StreamError extends Error {
  /** As it came. */
  readonly error: unknown;

  constructor(error: unknown) {
    super("the stream holds an error");
    this.error = error;
  }
}

/** Who is told of a stream while it is read. */
export interface StreamObserver {
  sawBytes(count: number): void;
  /** The vendor's `[DONE]`; nothing behind it is read. */
  sawDone(): void;
}

/** In a burst what follows within this time of the last list is held and given together: it costs the way to the screen once, not per token. */
const BURST_MS = 1;
/** Lists in quick succession that make a burst; a short reply, such as a tool call, waits for nothing. */
const BURST_LISTS = 4;
/** Bytes that are worth a list of their own: nothing is held for more. */
const HELD_BYTES_MAX = 16_384;
/** Bytes that are read ahead of the consumer. */
const AHEAD_BYTES_MAX = 262_144;

/**
 * The JSON values of a server-sent event stream, as lists of what arrived together. A value that comes alone is given at once. Ends at
 * `[DONE]` or with the body. Throws SyntaxError for an event that is no JSON, StreamError for one that is an error, and what the body throws.
 */
export async function* readJsonEvents(
  body: ReadableStream<Uint8Array>,
  observer: StreamObserver,
): AsyncGenerator<unknown[], void, void> {
  let datas: string[] = [];
  const parser = createParser({ onEvent: (event) => void datas.push(event.data) });
  const decoder = new TextDecoder();
  const ahead = new ReadAhead(body, observer);
  let givenAt = -Infinity;
  let quick = 0;
  try {
    for (;;) {
      const chunks = await ahead.take(quick >= BURST_LISTS ? givenAt + BURST_MS : 0);
      // Asked once: the body may end while its last list is with the consumer.
      const isDrained = ahead.isDrained;
      for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
      const whole = datas.length;
      // An event at the very end may lack its blank line. One that was cut there says nothing: the connection broke.
      if (isDrained) parser.feed(decoder.decode() + "\n\n");
      const arrived = datas.filter((data, at) => at < whole || isDone(data) || isJson(data));
      datas = [];
      const end = arrived.findIndex(isDone);
      const values = (end < 0 ? arrived : arrived.slice(0, end)).map(toValue);
      if (end >= 0) observer.sawDone();
      if (values.length > 0) yield values;
      const now = performance.now();
      quick = now - givenAt < BURST_MS * 2 ? quick + 1 : 0;
      givenAt = now;
      if (end >= 0) return;
      if (isDrained) return ahead.assertWhole();
    }
  } finally {
    ahead.cancel();
  }
}

/** Reads a body on its own, a bounded way ahead of who takes from it. */
class ReadAhead {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #observer: StreamObserver;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #error: unknown;
  #changed = Promise.withResolvers<void>();

  constructor(body: ReadableStream<Uint8Array>, observer: StreamObserver) {
    this.#reader = body.getReader();
    this.#observer = observer;
    void this.#read();
  }

  /** True when everything was read and taken. */
  get isDrained(): boolean {
    return this.#ended && this.#chunks.length === 0;
  }

  /** Throws what the body threw. */
  assertWhole(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** What has arrived, at least one chunk unless the body has ended; waits until `notBefore` for more, but not for the end. */
  async take(notBefore: number): Promise<Uint8Array[]> {
    while (this.#chunks.length === 0 && !this.#ended) await this.#changed.promise;
    const wait = notBefore - performance.now();
    if (wait > 0) await this.#pause(wait);
    const taken = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    this.#signal();
    return taken;
  }

  /** A reply that is whole is not held: the tool calls in it start at once. */
  async #pause(ms: number): Promise<void> {
    const over = Promise.withResolvers<"over">();
    const timer = setTimeout(() => over.resolve("over"), ms);
    while (!this.#ended && this.#bytes < HELD_BYTES_MAX) {
      if (await Promise.race([this.#changed.promise, over.promise]) === "over") break;
    }
    clearTimeout(timer);
  }

  cancel(): void {
    this.#ended = true;
    this.#signal();
    this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    try {
      while (!this.#ended) {
        const { done, value } = await this.#reader.read();
        if (done) break;
        this.#observer.sawBytes(value.length);
        this.#chunks.push(value);
        this.#bytes += value.length;
        this.#signal();
        while (this.#bytes > AHEAD_BYTES_MAX && !this.#ended) await this.#changed.promise;
      }
    } catch (error) {
      this.#error = error;
    }
    this.#ended = true;
    this.#signal();
  }

  #signal(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function isDone(data: string): boolean {
  return data.startsWith("[DONE]");
}

function isJson(data: string): boolean {
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

function toValue(data: string): unknown {
  const value = JSON.parse(data);
  // Google wraps errors in a list.
  const first = Array.isArray(value) ? value[0] : value;
  if (typeof first === "object" && first !== null && "error" in first && first.error) {
    throw new StreamError(first.error);
  }
  return value;
}
