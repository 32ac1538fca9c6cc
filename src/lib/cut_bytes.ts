const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The longest start of the text that is at most `bytesMax` in UTF-8, cut between two characters. */
export function cutBytes(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = encoder.encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  // A byte 10xxxxxx continues a character (RFC 3629 §3).
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return decoder.decode(bytes.subarray(0, end));
}
