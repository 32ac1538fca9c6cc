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

/** Reads one line after another; a line that nobody took yet is the next one, whoever asks. */
export class LineReader {
  readonly #lines: AsyncIterator<string>;
  #waiting: Promise<string | undefined> | undefined;

  constructor(lines: AsyncIterable<string>) {
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** The next line; undefined at the end. A second call before the line came gets the same one. */
  next(): Promise<string | undefined> {
    return this.#waiting ??= this.#lines.next().then(({ value, done }) => {
      this.#waiting = undefined;
      return done ? undefined : value;
    });
  }
}
