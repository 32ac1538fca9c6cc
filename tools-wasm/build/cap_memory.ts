/**
 * A core module whose memories cannot grow beyond `pagesMax` pages of 64 KiB: writes a maximum into the memory section
 * (WebAssembly core specification, binary format, §5.5.8). Throws Error for a 64-bit or shared memory with unknown flags and for a
 * module that starts with more than it may have.
 */
export function capMemory(
  module: Uint8Array<ArrayBuffer>,
  pagesMax: number,
): Uint8Array<ArrayBuffer> {
  const reader = { bytes: module, at: 8 };
  while (reader.at < module.length) {
    const sectionAt = reader.at;
    const id = module[reader.at++];
    const size = readLeb(reader);
    const bodyAt = reader.at;
    if (id === 5) {
      const body = cappedSection(reader, pagesMax);
      return concat([
        module.subarray(0, sectionAt),
        [5, ...toLeb(body.length)],
        body,
        module.subarray(bodyAt + size),
      ]);
    }
    reader.at = bodyAt + size;
  }
  return module;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function cappedSection(reader: Reader, pagesMax: number): number[] {
  const count = readLeb(reader);
  const out = toLeb(count);
  for (let index = 0; index < count; index++) {
    const flags = reader.bytes[reader.at++]!;
    if ((flags & ~1) !== 0) throw new Error("a memory is shared or 64-bit");
    const min = readLeb(reader);
    const max = (flags & 1) !== 0 ? readLeb(reader) : pagesMax;
    if (min > pagesMax) {
      throw new Error(
        `a memory starts with ${min} pages, ${pagesMax} are allowed`,
      );
    }
    out.push(1, ...toLeb(min), ...toLeb(Math.min(max, pagesMax)));
  }
  return out;
}

/** Unsigned LEB128 of at most 32 bits. */
function readLeb(reader: Reader): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) break;
    value += (byte & 127) * 2 ** shift;
    if ((byte & 128) === 0) return value;
  }
  throw new Error("a number in the module is broken");
}

function toLeb(value: number): number[] {
  const out: number[] = [];
  do {
    const low = value & 127;
    value >>>= 7;
    out.push(value > 0 ? low | 128 : low);
  } while (value > 0);
  return out;
}

function concat(
  parts: readonly (Uint8Array | readonly number[])[],
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
