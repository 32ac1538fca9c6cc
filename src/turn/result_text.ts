const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A tool's output as the model sees it. */
export interface ResultText {
  readonly text: string;
  readonly truncated: boolean;
  /** The output as bytes, when `text` is only a part of it. */
  readonly full: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Cuts an output to `bytesMax` bytes of UTF-8, between two characters, with a last line that says how long it was (SPEC §3).
 * `outputBytes` is the size before anyone cut, which may be more than what `text` still holds.
 */
export function toResultText(text: string, outputBytes: number, bytesMax: number): ResultText {
  const full = encoder.encode(text);
  const size = Math.max(outputBytes, full.length);
  if (size <= bytesMax) return { text, truncated: false, full: undefined };
  const mark = `\n[output truncated — original size: ${size} bytes]`;
  let end = Math.max(0, Math.min(full.length, bytesMax - encoder.encode(mark).length));
  // A byte 10xxxxxx continues a character (RFC 3629 §3).
  while (end > 0 && end < full.length && (full[end]! & 0xc0) === 0x80) end--;
  return { text: decoder.decode(full.subarray(0, end)) + mark, truncated: true, full };
}
