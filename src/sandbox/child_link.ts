import { AppError } from "#/core/error.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { encodeByteFrames, encodeJsonFrame, type Frame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import type { FromChild, ToChild } from "#/sandbox/host_call.ts";

/** A pair of blocking byte streams: stdin and stdout of a process. */
export interface SyncStreams {
  /** Bytes read, or null at the end. */
  read(into: Uint8Array): number | null;
  /** Bytes written: a pipe may take fewer than it was given. */
  write(bytes: Uint8Array): number;
}

const READ_BYTES = 262_144;

/**
 * Frames over blocking streams, so that a component's synchronous import can ask the broker without a second thread.
 * `broken` is true while a frame is half written: whoever interrupts then must not write another one.
 */
export class SyncLink {
  readonly #streams: SyncStreams;
  readonly #decoder = new FrameDecoder();
  readonly #ready: Frame[] = [];
  readonly #buffer = new Uint8Array(READ_BYTES);
  #broken = false;

  constructor(streams: SyncStreams) {
    this.#streams = streams;
  }

  /** True while, or after, a frame was not written to its end. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The next JSON frame, or null when the other end is gone. Throws AppError `protocol` or `frame_too_large`. */
  readMessage(): { readonly message: ToChild; readonly callId: number } | null {
    const frame = this.#next();
    return frame === null ? null : { message: jsonOf(frame) as ToChild, callId: frame.callId };
  }

  /** The bytes that follow a head, joined. Throws AppError `protocol` when they are not what the head announced. */
  readContent(bytes: number): Uint8Array<ArrayBuffer> {
    const content = new Uint8Array(bytes);
    for (let at = 0; at < bytes;) {
      const frame = this.#next();
      if (frame === null || frame.kind !== 1 || at + frame.body.length > bytes) {
        throw new AppError("protocol", "content does not match its head");
      }
      content.set(frame.body, at);
      at += frame.body.length;
    }
    return content;
  }

  /** Writes a head, and the content that it announces, to their end. Throws RangeError, with nothing written, for a head over `frameBytesMax`. */
  write(callId: number, message: FromChild, content: Uint8Array = new Uint8Array(0)): void {
    const head = encodeJsonFrame(callId, message);
    this.#broken = true;
    // One write, so that the runner wakes up once.
    this.#writeAll(concatBytes([head, ...encodeByteFrames(callId, content)]));
    this.#broken = false;
  }

  #next(): Frame | null {
    while (this.#ready.length === 0) {
      const count = this.#streams.read(this.#buffer);
      if (count === null) return null;
      this.#ready.push(...this.#decoder.push(this.#buffer.subarray(0, count)));
    }
    return this.#ready.shift()!;
  }

  #writeAll(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += this.#streams.write(bytes.subarray(at));
  }
}
