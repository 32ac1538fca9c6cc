import { concatBytes } from "#/lib/bytes.ts";

/** Bytes joined into one write. */
const JOINED_BYTES_MAX = 262_144;

interface Queued {
  readonly bytes: Uint8Array;
  readonly done: (written: boolean) => void;
}

/** Writes frames one after another; what was queued while a write was under way goes out in one piece with the next. */
export class FrameWriter {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #queue: Queued[] = [];
  #isPumping = false;
  #isClosed = false;

  /** Locks the stream. */
  constructor(output: WritableStream<Uint8Array>) {
    this.#writer = output.getWriter();
    // The stream tells the same at the next write.
    this.#writer.closed.catch(() => {});
  }

  /** True when the other side's pipe took the frame; false when the stream is closed. Never rejects. */
  send(bytes: Uint8Array): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#queue.push({ bytes, done: resolve });
    if (!this.#isPumping) {
      this.#isPumping = true;
      // After the caller's own step: a head and its bytes go out together, and the other side wakes up once.
      queueMicrotask(() => this.#pump());
    }
    return promise;
  }

  /** Closes the stream; what is still queued is dropped. A write that the other side does not take is not waited for. */
  close(): void {
    if (this.#isClosed) return;
    this.#stop();
    (this.#isPumping ? this.#writer.abort() : this.#writer.close()).catch(() => {});
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#writer.write(batch.length === 1 ? batch[0]!.bytes : concatBytes(batch.map((frame) => frame.bytes)));
        for (const frame of batch) frame.done(true);
      } catch {
        for (const frame of batch) frame.done(false);
        this.#stop();
      }
    }
    this.#isPumping = false;
  }

  #takeBatch(): readonly Queued[] {
    let count = 1;
    for (let bytes = this.#queue[0]!.bytes.length; count < this.#queue.length; count++) {
      bytes += this.#queue[count]!.bytes.length;
      if (bytes > JOINED_BYTES_MAX) break;
    }
    return this.#queue.splice(0, count);
  }

  #stop(): void {
    this.#isClosed = true;
    for (const frame of this.#queue.splice(0)) frame.done(false);
  }
}
