import { AppError } from "#/core/error.ts";
import type { ByteReader } from "#/lib/byte_reader.ts";

const HEAD_BYTES = 4;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Four bytes of big-endian length, then JSON: the reference's framing for bootstrap and control socket. Throws AppError `frame_too_large`. */
export function encodeLengthJson(value: unknown, bytesMax: number): Uint8Array<ArrayBuffer> {
  const body = encoder.encode(JSON.stringify(value));
  if (body.length > bytesMax) throw tooLarge(body.length, bytesMax);
  const out = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, HEAD_BYTES);
  return out;
}

/**
 * The next value, or undefined when the stream ends before it begins. What follows it stays in the reader. The length is checked
 * before a byte of the body is kept. Throws AppError `frame_too_large`, or `protocol` for a cut or broken one.
 */
export async function readLengthJson(reader: ByteReader, bytesMax: number): Promise<unknown> {
  const head = await reader.readExactly(HEAD_BYTES);
  if (head === undefined) return undefined;
  const length = new DataView(head.buffer).getUint32(0);
  if (length > bytesMax) throw tooLarge(length, bytesMax);
  const body = await reader.readExactly(length);
  if (body === undefined) throw new AppError("protocol", "the stream ended inside a message");
  try {
    return JSON.parse(decoder.decode(body));
  } catch (cause) {
    throw new AppError("protocol", "a message is not valid JSON", { cause });
  }
}

function tooLarge(bytes: number, bytesMax: number): AppError {
  return new AppError("frame_too_large", `a message of ${bytes} bytes is over the ${bytesMax} allowed`, {
    params: { bytes },
  });
}
