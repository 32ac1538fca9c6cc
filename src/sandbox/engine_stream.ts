import { LIMITS } from "#/core/limits.ts";
import { type RawConnection, writeAll } from "#/sandbox/engine_http.ts";

/** The stdio of a container. Both outputs have to be read: one that nobody reads holds the other up. */
export interface EngineStdio {
  /** Closing it is the end of the container's stdin. */
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Settles when the engine has said all, or is gone. Never rejects. */
  readonly ended: Promise<void>;
  /** Ends the connection; what was not read yet stays readable. */
  close(): void;
}

/** Length of the head before each piece of output: kind (1 stdout, 2 stderr), three zeros, u32 big-endian length. */
const HEAD_BYTES = 8;

/** Takes an attached connection apart, `first` being what was read of it before. */
export function openStdio(conn: RawConnection, first: Uint8Array): EngineStdio {
  const [stdout, stderr] = [openOutlet(), openOutlet()];
  let open = true;
  const close = () => {
    if (open) conn.close();
    open = false;
  };
  const ended = pump(conn, first, [stdout.writer, stderr.writer])
    // Gone in the middle of a piece: nobody can tell from the outputs, the container's end says it.
    .catch(() => {})
    .then(async () => {
      close();
      await Promise.all([stdout, stderr].map(({ writer }) => writer.close().catch(() => {})));
    });
  const stdin = new WritableStream<Uint8Array>({
    write: (bytes) => writeAll(conn, bytes),
    close: () => conn.closeWrite().catch(() => {}),
    abort: () => open ? conn.closeWrite().catch(() => {}) : undefined,
  });
  return { stdin, stdout: stdout.stream, stderr: stderr.stream, ended, close };
}

/** One output: its writer waits while `engineStreamBytesMax` are unread. */
function openOutlet(): { stream: ReadableStream<Uint8Array>; writer: WritableStreamDefaultWriter<Uint8Array> } {
  const size = (chunk?: Uint8Array) => chunk?.length ?? 0;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({}, undefined, {
    highWaterMark: LIMITS.engineStreamBytesMax,
    size,
  });
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  return { stream: readable, writer };
}

/** Pieces go on as they come: their length is the engine's claim and may be 4 GiB. */
async function pump(
  conn: RawConnection,
  first: Uint8Array,
  writers: readonly WritableStreamDefaultWriter<Uint8Array>[],
): Promise<void> {
  const head = new Uint8Array(HEAD_BYTES);
  const buffer = new Uint8Array(65_536);
  let [filled, left, kind] = [0, 0, 1];
  for (let chunk = first;;) {
    for (let at = 0; at < chunk.length;) {
      if (left === 0) {
        const taken = chunk.subarray(at, at + HEAD_BYTES - filled);
        head.set(taken, filled);
        filled += taken.length;
        at += taken.length;
        if (filled < HEAD_BYTES) break;
        [filled, left, kind] = [0, new DataView(head.buffer).getUint32(4), head[0]!];
        continue;
      }
      const piece = chunk.slice(at, at + left);
      at += piece.length;
      left -= piece.length;
      const writer = writers[kind === 2 ? 1 : 0]!;
      // An output whose reader left takes no more; the other one goes on.
      await writer.ready.then(() => void writer.write(piece).catch(() => {}), () => {});
    }
    const count = await conn.read(buffer);
    if (count === null) return;
    chunk = buffer.subarray(0, count);
  }
}
