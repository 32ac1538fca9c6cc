import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** A frame between our own processes: kind 0 carries JSON, kind 1 bytes. `callId` ties an answer to its question; 0 is the link itself. */
export interface Frame {
  readonly kind: 0 | 1;
  readonly callId: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** u32 big-endian length of what follows, u8 kind, u32 big-endian call id. */
const HEAD_BYTES = 9;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The wire form of one frame. Throws RangeError for a body over `frameBytesMax`: our own side never makes one. */
export function encodeFrame(kind: 0 | 1, callId: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  if (body.length > LIMITS.frameBytesMax) throw new RangeError(`frame of ${body.length} bytes`);
  const out = new Uint8Array(HEAD_BYTES + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length + 5);
  view.setUint8(4, kind);
  view.setUint32(5, callId);
  out.set(body, HEAD_BYTES);
  return out;
}

/** A JSON frame. */
export function encodeJsonFrame(callId: number, value: unknown): Uint8Array<ArrayBuffer> {
  return encodeFrame(0, callId, encoder.encode(JSON.stringify(value)));
}

/** Byte frames of at most `chunkBytesMax` each; none for empty content. */
export function* encodeByteFrames(callId: number, content: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < content.length; at += LIMITS.chunkBytesMax) {
    yield encodeFrame(1, callId, content.subarray(at, at + LIMITS.chunkBytesMax));
  }
}

/** The JSON of a kind-0 frame. Throws AppError `protocol` for anything else. */
export function jsonOf(frame: Frame): unknown {
  if (frame.kind !== 0) throw new AppError("protocol", "expected a JSON frame");
  try {
    return JSON.parse(decoder.decode(frame.body));
  } catch (cause) {
    throw new AppError("protocol", "a frame is not valid JSON", { cause });
  }
}

/** Turns a stream of chunks, cut anywhere, into frames. The length is checked before a byte of the body is kept. */
export class FrameDecoder {
  /** What waits for the rest of its frame is at the start; it has room for more, so that a stream that drips is not copied at each drop. */
  #pending: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;

  /** Frames completed by this chunk. Throws AppError `frame_too_large` or `protocol`; the link is dead after that. */
  push(chunk: Uint8Array): Frame[] {
    const buffer = this.#length === 0 ? chunk as Uint8Array<ArrayBuffer> : this.#append(chunk);
    const frames: Frame[] = [];
    let at = 0;
    while (buffer.length - at >= 4) {
      const view = new DataView(buffer.buffer, buffer.byteOffset + at);
      const length = view.getUint32(0);
      if (length < 5) throw new AppError("protocol", "a frame is shorter than its head");
      if (length - 5 > LIMITS.frameBytesMax) {
        throw new AppError("frame_too_large", `a frame announces ${length} bytes`, { params: { bytes: length } });
      }
      if (buffer.length - at < 4 + length) break;
      const kind = view.getUint8(4);
      if (kind !== 0 && kind !== 1) throw new AppError("protocol", `unknown frame kind ${kind}`);
      frames.push({ kind, callId: view.getUint32(5), body: buffer.slice(at + HEAD_BYTES, at + 4 + length) });
      at += 4 + length;
    }
    if (at > 0 || this.#length === 0) {
      this.#pending = buffer.slice(at);
      this.#length = this.#pending.length;
    }
    return frames;
  }

  /** Bytes that wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.#length;
  }

  #append(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
    const length = this.#length + chunk.length;
    if (length > this.#pending.length) {
      const larger = new Uint8Array(Math.max(length, this.#pending.length * 2));
      larger.set(this.#pending.subarray(0, this.#length));
      this.#pending = larger;
    }
    this.#pending.set(chunk, this.#length);
    this.#length = length;
    return this.#pending.subarray(0, length);
  }
}
