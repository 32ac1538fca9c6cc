import { LIMITS } from "#/core/limits.ts";
import type { After } from "#/gateway/connection.ts";

/** One event of a stream over HTTP. */
export interface SseEvent {
  /** Where a reader that comes back goes on (Last-Event-ID). */
  readonly id?: number;
  readonly name?: string;
  /** Sent as JSON. */
  readonly body: unknown;
}

/** What a stream over HTTP needs. */
export interface SseOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly after: After;
  /** Called once when the reader has left, or takes nothing any more. */
  readonly left: () => void;
}

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // No proxy keeps a part back or joins parts (nginx reads x-accel-buffering).
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** An event on the wire (WHATWG HTML §9.2). JSON has no line end in it, so no text can begin a field or an event of its own. */
export function encodeSse({ id, name, body }: SseEvent): string {
  const fields = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(name === undefined ? [] : [`event: ${name}`]),
    `data: ${JSON.stringify(body)}`,
  ];
  return `${fields.join("\n")}\n\n`;
}

/**
 * A response that is written as fast as it is read: the next text is asked for when the last one was taken. Nothing to say for
 * `sseHeartbeatMs` is said by a comment; a reader that takes nothing for `sseStallMs` is let go. What `texts` throws breaks the response off.
 */
export function toSseResponse(texts: AsyncIterator<string>, { headers, after, left }: SseOptions): Response {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<string>> | undefined;
  let cancelStall = () => {};
  const leave = () => {
    left();
    // A source that has said something nobody took waits at that place, and for nothing that `left` could end.
    texts.return?.().catch(() => {});
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      cancelStall();
      next ??= texts.next();
      const beat = Promise.withResolvers<undefined>();
      const cancelBeat = after(LIMITS.sseHeartbeatMs, () => beat.resolve(undefined));
      const got = await Promise.race([next, beat.promise]).finally(cancelBeat);
      if (got?.done) return controller.close();
      if (got !== undefined) next = undefined;
      controller.enqueue(encoder.encode(got === undefined ? ": keep-alive\n\n" : got.value));
      cancelStall = after(LIMITS.sseStallMs, () => {
        leave();
        controller.error(new Error("the reader takes nothing"));
      });
    },
    cancel() {
      cancelStall();
      leave();
    },
  });
  return new Response(body, { headers: { ...HEADERS, ...headers } });
}
