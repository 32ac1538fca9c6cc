/** Lines of a byte stream, without their line ends; the last one counts even when it has none. A line over `charsMax` is cut there. */
export async function* readLines(stream: ReadableStream<Uint8Array>, charsMax: number): AsyncGenerator<string> {
  let pending = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    pending += text;
    const lines = pending.split("\n");
    pending = (lines.pop() ?? "").slice(0, charsMax);
    for (const line of lines) yield line.replace(/\r$/, "").slice(0, charsMax);
  }
  if (pending !== "") yield pending;
}
