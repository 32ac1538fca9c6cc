const NEWLINE = 10;

/**
 * The lines of a stream of bytes, without their newlines; what follows the last newline is a line when there is something. Throws RangeError for
 * a line of more than `lineBytesMax` before it has been read to its end, and for more than `bytesMax` in all.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  bounds: { readonly lineBytesMax: number; readonly bytesMax: number },
): AsyncGenerator<Uint8Array, void, void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > bounds.bytesMax) throw new RangeError(`more than ${bounds.bytesMax} bytes`);
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      size += at - from;
      if (size > bounds.lineBytesMax) throw new RangeError(`a line of more than ${bounds.lineBytesMax} bytes`);
      yield joined(parts, chunk.subarray(from, at), size);
      [parts, size, from] = [[], 0, at + 1];
    }
    size += chunk.length - from;
    if (size > bounds.lineBytesMax) throw new RangeError(`a line of more than ${bounds.lineBytesMax} bytes`);
    if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (size > 0) yield joined(parts, new Uint8Array(0), size);
}

function joined(parts: readonly Uint8Array[], last: Uint8Array, size: number): Uint8Array {
  if (parts.length === 0) return last;
  const line = new Uint8Array(size);
  let at = 0;
  for (const part of [...parts, last]) {
    line.set(part, at);
    at += part.length;
  }
  return line;
}
