/**
 * Output of one call in UTF-8 bytes. The model sees 16,384 bytes of a result: a tool that stops below that can say where to
 * go on, a cut result cannot.
 */
export const OUTPUT_BYTES_MAX = 15_360;

/** Size in UTF-8 of a string (a lone surrogate counts as the three bytes of U+FFFD). */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (
      unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(at + 1))
    ) {
      bytes += 2;
      at++;
    } else bytes += 2;
  }
  return bytes;
}

/** The longest start of `text` of at most `bytesMax` UTF-8 bytes that ends on a character. */
export function cutToBytes(text: string, bytesMax: number): string {
  // A unit has at most three bytes, so what cannot fit is dropped before the exact count.
  let cut = text.slice(0, bytesMax);
  while (utf8Bytes(cut) > bytesMax) {
    cut = cut.slice(
      0,
      Math.max(0, cut.length - Math.ceil((utf8Bytes(cut) - bytesMax) / 3)),
    );
  }
  const last = cut.charCodeAt(cut.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? cut.slice(0, -1) : cut;
}

/** `1 match`, `3 matches`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
