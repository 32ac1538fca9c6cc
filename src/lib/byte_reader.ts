/** Reads a byte stream now by count, now by chunk; what one way leaves over, the other finds. */
export class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  /** Locks the stream. */
  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** The next bytes, at least one; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = new Uint8Array(0);
      return rest;
    }
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      if (value.length > 0) return value;
    }
  }

  /** Exactly `count` bytes; undefined when the stream ends before. The caller has bounded `count`. */
  async readExactly(count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const out = new Uint8Array(count);
    for (let length = 0; length < count;) {
      const chunk = await this.read();
      if (chunk === undefined) return undefined;
      const taken = Math.min(chunk.length, count - length);
      out.set(chunk.subarray(0, taken), length);
      length += taken;
      this.#rest = chunk.subarray(taken);
    }
    return out;
  }

  /** Gives the stream up: a `read` that waits ends as at the end of the stream. */
  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}
