import { z } from "zod";
import { AppError, type ErrorCode, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ByteReader } from "#/lib/byte_reader.ts";
import { encodeByteFrames, encodeJsonFrame, type Frame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import { FrameWriter } from "#/lib/frame_writer.ts";

/** What a request or its answer carries: any JSON, and for an answer bytes beside it. */
export interface LinkAnswer {
  readonly body: unknown;
  readonly content: Uint8Array;
}

/** What this side does for the other. Without a handler, a request or notice is a protocol error and ends the link. */
export interface LinkHandlers {
  /**
   * A rejection goes back as its code and message; anything that is no AppError as `internal`. The signal fires when the other side cancels,
   * and with the reason AppError `tool_interrupted` when it is gone.
   */
  readonly onRequest?: (body: unknown, signal: AbortSignal) => Promise<LinkAnswer>;
  /** Synchronous. A throw ends the link. */
  readonly onNotice?: (body: unknown) => void;
}

/** What a link reads and what it writes; what the reader still holds is its beginning. */
type LinkStreams = { readonly input: ByteReader; readonly output: WritableStream<Uint8Array> };

/** Bounds of one end. */
export interface LinkOptions {
  /** Bytes of one answer that this end accepts and gives; `toolOutputBytesMax` by default. A longer one from the other side ends the link. */
  readonly contentBytesMax?: number;
}

/** Requests, answers and notices over a pair of byte streams. */
export interface Link {
  /**
   * Asks and waits. Throws AppError: the code the other side named; `cancelled` at once when the signal fires; `queue_full` with
   * `linkRequestsMax` open; `frame_too_large`; `tool_interrupted` when the link has ended.
   */
  request(body: unknown, signal: AbortSignal): Promise<LinkAnswer>;
  /** Says something outside any request; resolves when the pipe took it. */
  notify(body: unknown): Promise<void>;
  /** Settles when the link has ended: undefined for the end of the stream or `close`, else what went wrong. Never rejects. */
  readonly closed: Promise<AppError | undefined>;
  close(): Promise<void>;
}

const Head = z.discriminatedUnion("type", [
  z.strictObject({ v: z.literal(1), type: z.literal("request"), body: z.unknown() }),
  z.strictObject({ v: z.literal(1), type: z.literal("cancel") }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal("response"),
    body: z.unknown(),
    contentBytes: z.number().int().min(0),
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal("failed"),
    code: z.string().regex(/^[a-z_]{1,64}$/),
    message: z.string(),
  }),
  z.strictObject({ v: z.literal(1), type: z.literal("ack") }),
  z.strictObject({ v: z.literal(1), type: z.literal("notice"), body: z.unknown() }),
]);
type Head = z.infer<typeof Head>;

/** A request of ours. After a cancel it stays until its answer is in, so that late frames find their place. */
interface Asked {
  readonly answer: PromiseWithResolvers<LinkAnswer>;
  body?: unknown;
  content?: Uint8Array;
  received: number;
}

/** A request of the other side. */
interface Served {
  readonly abort: AbortController;
  credit: number;
  wake: (() => void) | undefined;
}

/**
 * Opens a link over what the reader still holds and the output. The first malformed, oversized or unexpected frame ends it: it
 * is not repaired, because one of the two sides may be hostile.
 */
export function openLink(
  io: LinkStreams,
  handlers: LinkHandlers = {},
  { contentBytesMax = LIMITS.toolOutputBytesMax }: LinkOptions = {},
): Link {
  return new StreamLink(io, handlers, contentBytesMax);
}

class StreamLink implements Link {
  readonly #input: ByteReader;
  readonly #writer: FrameWriter;
  readonly #handlers: LinkHandlers;
  readonly #contentBytesMax: number;
  readonly #asked = new Map<number, Asked>();
  readonly #served = new Map<number, Served>();
  readonly #end = Promise.withResolvers<AppError | undefined>();
  readonly #decoder = new FrameDecoder();
  #lastId = 0;
  #isOver = false;

  constructor(io: LinkStreams, handlers: LinkHandlers, contentBytesMax: number) {
    this.#input = io.input;
    this.#writer = new FrameWriter(io.output);
    this.#handlers = handlers;
    this.#contentBytesMax = contentBytesMax;
    this.#readAll();
  }

  get closed(): Promise<AppError | undefined> {
    return this.#end.promise;
  }

  async request(body: unknown, signal: AbortSignal): Promise<LinkAnswer> {
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    if (this.#isOver) throw linkEnded();
    if (this.#asked.size >= LIMITS.linkRequestsMax) throw new AppError("queue_full", "Too many requests are open");
    const id = this.#nextId();
    const frame = toFrame(id, { v: 1, type: "request", body });
    const asked: Asked = { answer: Promise.withResolvers(), received: 0 };
    this.#asked.set(id, asked);
    this.#writer.send(frame);
    const cancel = () => {
      this.#writer.send(toFrame(id, { v: 1, type: "cancel" }));
      asked.answer.reject(new AppError("cancelled", "The call was cancelled"));
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await asked.answer.promise;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async notify(body: unknown): Promise<void> {
    const frame = toFrame(0, { v: 1, type: "notice", body });
    if (frame.length > LIMITS.noticeBytesMax) throw new AppError("frame_too_large", "The notice is too large");
    if (!await this.#writer.send(frame)) throw linkEnded();
  }

  async close(): Promise<void> {
    await this.#finish(undefined);
  }

  async #readAll(): Promise<void> {
    // A stream that breaks is a peer that is gone: the same as its end.
    const next = () => this.#input.read().catch(() => undefined);
    try {
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
        for (const frame of this.#decoder.push(chunk)) this.#take(frame);
      }
      if (this.#decoder.pendingBytes > 0) throw new AppError("protocol", "The stream ended inside a frame");
      await this.#finish(undefined);
    } catch (error) {
      await this.#finish(
        error instanceof AppError ? error : new AppError("protocol", "The link broke", { cause: error }),
      );
    }
  }

  #take(frame: Frame): void {
    if (this.#isOver) return;
    if (frame.kind === 1) return this.#takeBytes(frame);
    const parsed = Head.safeParse(jsonOf(frame));
    if (!parsed.success) throw new AppError("protocol", "A frame is not one of ours");
    const head = parsed.data;
    if ((head.type === "notice") !== (frame.callId === 0)) {
      throw new AppError("protocol", "Call id 0 is for notices only");
    }
    switch (head.type) {
      case "notice":
        return this.#takeNotice(head.body, frame.body.length);
      case "request":
        return this.#takeRequest(frame.callId, head.body);
      case "cancel":
        // The answer may have crossed it: nothing to cancel then.
        return this.#served.get(frame.callId)?.abort.abort();
      case "ack":
        return this.#takeAck(frame.callId);
      case "response":
      case "failed":
        return this.#takeAnswer(frame.callId, head);
    }
  }

  #takeNotice(body: unknown, bytes: number): void {
    if (this.#handlers.onNotice === undefined) throw new AppError("protocol", "A notice nobody asked for");
    if (bytes > LIMITS.noticeBytesMax) {
      throw new AppError("frame_too_large", "A notice is too large", { params: { bytes } });
    }
    this.#handlers.onNotice(body);
  }

  #takeRequest(id: number, body: unknown): void {
    const { onRequest } = this.#handlers;
    if (onRequest === undefined) throw new AppError("protocol", "A request to a side that serves none");
    if (this.#served.has(id)) throw new AppError("protocol", "A request with an id that is in use");
    if (this.#served.size >= LIMITS.linkRequestsMax) throw new AppError("protocol", "Too many requests are open");
    const served: Served = { abort: new AbortController(), credit: LIMITS.chunkCredit, wake: undefined };
    this.#served.set(id, served);
    this.#serve(id, served, onRequest, body);
  }

  async #serve(
    id: number,
    served: Served,
    onRequest: NonNullable<LinkHandlers["onRequest"]>,
    body: unknown,
  ): Promise<void> {
    try {
      const { body: answer, content } = await onRequest(body, served.abort.signal);
      if (content.length > this.#contentBytesMax) throw new AppError("frame_too_large", "The answer is too large");
      const head = toFrame(id, { v: 1, type: "response", body: answer, contentBytes: content.length });
      const sent = this.#writer.send(head);
      for (const chunk of encodeByteFrames(id, content)) {
        while (served.credit === 0 && !this.#isOver) await new Promise<void>((resolve) => served.wake = resolve);
        served.credit--;
        if (!await this.#writer.send(chunk)) return;
      }
      // Counted as open until the pipe took it: else a peer that asks and never reads fills our memory.
      await sent;
    } catch (error) {
      const { code, message } = toPublicError(error, crypto.randomUUID());
      await this.#writer.send(toFrame(id, { v: 1, type: "failed", code, message }));
    } finally {
      this.#served.delete(id);
    }
  }

  #takeAck(id: number): void {
    const served = this.#served.get(id);
    if (served === undefined) return;
    if (served.credit >= LIMITS.chunkCredit) throw new AppError("protocol", "An ack for nothing");
    served.credit++;
    served.wake?.();
  }

  #takeAnswer(id: number, head: Head & { type: "response" | "failed" }): void {
    const asked = this.#asked.get(id);
    if (asked === undefined || asked.content !== undefined) {
      throw new AppError("protocol", "An answer nobody waits for");
    }
    if (head.type === "failed") {
      this.#asked.delete(id);
      return asked.answer.reject(new AppError(head.code as ErrorCode, head.message));
    }
    if (head.contentBytes > this.#contentBytesMax) throw new AppError("protocol", "An answer is larger than agreed");
    asked.body = head.body;
    asked.content = new Uint8Array(head.contentBytes);
    this.#finishIfWhole(id, asked);
  }

  #takeBytes(frame: Frame): void {
    const asked = this.#asked.get(frame.callId);
    const size = frame.body.length;
    if (asked?.content === undefined) throw new AppError("protocol", "Bytes nobody waits for");
    // Whole chunks only: each one is acknowledged, and a peer that cuts finely would make us queue acks without end.
    const expected = Math.min(LIMITS.chunkBytesMax, asked.content.length - asked.received);
    if (size !== expected || size === 0) throw new AppError("protocol", "A chunk of an unexpected size");
    asked.content.set(frame.body, asked.received);
    asked.received += size;
    if (asked.received < asked.content.length) this.#writer.send(toFrame(frame.callId, { v: 1, type: "ack" }));
    this.#finishIfWhole(frame.callId, asked);
  }

  #finishIfWhole(id: number, asked: Asked): void {
    if (asked.content === undefined || asked.received < asked.content.length) return;
    this.#asked.delete(id);
    asked.answer.resolve({ body: asked.body, content: asked.content });
  }

  async #finish(error: AppError | undefined): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { abort, wake } of this.#served.values()) {
      abort.abort(linkEnded(error));
      wake?.();
    }
    for (const { answer } of this.#asked.values()) answer.reject(linkEnded(error));
    this.#asked.clear();
    this.#writer.close();
    this.#end.resolve(error);
    await this.#input.cancel().catch(() => {});
  }

  #nextId(): number {
    do this.#lastId = this.#lastId % 0xffff_ffff + 1; while (this.#asked.has(this.#lastId));
    return this.#lastId;
  }
}

function toFrame(id: number, head: Head): Uint8Array<ArrayBuffer> {
  try {
    return encodeJsonFrame(id, head);
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new AppError("frame_too_large", "The message is too large for a frame", { cause });
    }
    throw cause;
  }
}

function linkEnded(cause?: AppError): AppError {
  return new AppError("tool_interrupted", "The link to the other process has ended", {
    cause,
    params: { ended: true },
  });
}
