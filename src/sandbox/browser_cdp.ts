import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** Whole messages to and from a browser. `receive` ends with the browser. */
export interface CdpWire {
  send(message: string): void;
  receive(): AsyncIterable<string>;
}

/** Something that happened in a browser; without a session, in the browser itself. */
export interface CdpEvent {
  readonly method: string;
  readonly params: unknown;
  readonly sessionId?: string;
}

const Message = z.object({
  id: z.int().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string() }).optional(),
  sessionId: z.string().optional(),
});

interface Waiting {
  readonly sessionId: string | undefined;
  readonly answer: PromiseWithResolvers<unknown>;
}

/** The Chrome DevTools Protocol, flat sessions. What is no message of it ends the connection. */
export class Cdp {
  /** Settles when the browser is gone. Never rejects. */
  readonly closed: Promise<void>;
  readonly #wire: CdpWire;
  readonly #onEvent: (event: CdpEvent) => void;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #isOver = false;

  constructor(wire: CdpWire, onEvent: (event: CdpEvent) => void) {
    this.#wire = wire;
    this.#onEvent = onEvent;
    this.closed = this.#readAll().catch(() => {}).finally(() => {
      this.#isOver = true;
      this.#fail(undefined, new AppError("tool_crashed", "The browser has ended; the next navigate starts a new one"));
    });
  }

  /** Asks a session, or the browser. Throws AppError `tool_failed` with the browser's own words, `tool_timeout`, `tool_crashed`, `protocol`. */
  async send<T>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    { result, sessionId, timeoutMs = LIMITS.browserCommandMs }: {
      readonly result: z.ZodType<T>;
      readonly sessionId?: string | undefined;
      readonly timeoutMs?: number;
    },
  ): Promise<T> {
    if (this.#isOver) throw new AppError("tool_crashed", "The browser has ended; the next navigate starts a new one");
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { sessionId, answer });
    const late = new AppError("tool_timeout", "The page did not answer in time", { params: { method } });
    const timer = setTimeout(() => answer.reject(late), timeoutMs);
    try {
      this.#wire.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      const parsed = result.safeParse(await answer.promise);
      if (!parsed.success) throw new AppError("protocol", `The browser answered ${method} with something else`);
      return parsed.data;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** A session is gone: nobody waits for its answers any more. */
  lost(sessionId: string): void {
    this.#fail(sessionId, new AppError("tool_crashed", "The page has crashed or was closed"));
  }

  #fail(sessionId: string | undefined, error: AppError): void {
    for (const waiting of this.#waiting.values()) {
      if (sessionId === undefined || waiting.sessionId === sessionId) waiting.answer.reject(error);
    }
  }

  async #readAll(): Promise<void> {
    for await (const text of this.#wire.receive()) {
      const { id, method, params, result, error, sessionId } = Message.parse(JSON.parse(text));
      if (id === undefined) {
        if (method !== undefined) this.#onEvent({ method, params, ...(sessionId === undefined ? {} : { sessionId }) });
        continue;
      }
      // One that came too late is nobody's.
      const answer = this.#waiting.get(id)?.answer;
      if (error === undefined) answer?.resolve(result);
      else answer?.reject(new AppError("tool_failed", error.message));
    }
  }
}

/** Messages of the pipe of `--remote-debugging-pipe`, each ended by a NUL, out of chunks that are cut anywhere. Throws AppError `frame_too_large`. */
export async function* toMessages(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const nul = chunk.indexOf(0, at);
      const end = nul < 0 ? chunk.length : nul;
      bytes += end - at;
      if (bytes > LIMITS.browserMessageBytesMax) {
        throw new AppError("frame_too_large", "The browser sent more than one message may hold", { params: { bytes } });
      }
      parts.push(decoder.decode(chunk.subarray(at, end), { stream: nul < 0 }));
      at = end + 1;
      if (nul < 0) break;
      yield parts.join("");
      parts = [];
      bytes = 0;
    }
  }
}
