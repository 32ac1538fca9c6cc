import { cutBytes } from "#/lib/cut_bytes.ts";

const encoder = new TextEncoder();

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
  const kept = cutBytes(text, Math.max(0, bytesMax - encoder.encode(mark).length));
  return { text: kept + mark, truncated: true, full };
}
