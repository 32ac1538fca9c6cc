/**
 * The text of a body of at most `bytesMax` bytes; `onBytes` is told after each piece how many there are. Throws RangeError beyond them, and
 * what the body throws.
 */
export async function readBounded(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
  onBytes?: (bytes: number) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RangeError(`more than ${bytesMax} bytes`);
    onBytes?.(bytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
