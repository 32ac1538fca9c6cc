import { attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { join } from "#/lib/path.ts";
import type { LogEntry } from "#/runner/control_frames.ts";
import { type LogPlace, toEntry } from "#/runner/read_logs.ts";

/**
 * Lines that come after these places, until `signal` says that it is enough. It goes on over restarts, and over files that turn the page: what
 * was written before that is read to its end.
 */
export async function* followLogs(
  logsDir: string,
  places: readonly LogPlace[],
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const tails = places.map((place) => new Tail(logsDir, place));
  while (!signal.aborted) {
    for (const tail of tails) yield* tail.read();
    await delay(LIMITS.logPollMs, signal);
  }
}

class Tail {
  readonly #path: string;
  readonly #place: LogPlace;
  #ino: number | null;
  #offset: number;
  #pending = "";
  #decoder = new TextDecoder();

  constructor(logsDir: string, place: LogPlace) {
    this.#path = join(logsDir, place.file.name);
    this.#place = place;
    this.#ino = place.ino;
    this.#offset = place.offset;
  }

  *read(): Generator<LogEntry> {
    const info = lookAt(this.#path);
    if (info !== undefined && info.ino !== this.#ino) {
      const before = this.#ino === null ? undefined : lookAt(`${this.#path}.1`);
      if (before !== undefined && before.ino === this.#ino) { while ((yield* this.#lines(`${this.#path}.1`)) > 0); }
      [this.#ino, this.#offset] = [info.ino, 0];
    }
    if (info !== undefined && info.size < this.#offset) this.#offset = 0;
    if (info !== undefined && info.size > this.#offset) yield* this.#lines(this.#path);
  }

  /** Returns how many bytes it has read. */
  *#lines(path: string): Generator<LogEntry, number> {
    let bytes = new Uint8Array(LIMITS.logLookBytesMax);
    try {
      using file = Deno.openSync(path);
      file.seekSync(this.#offset, Deno.SeekMode.Start);
      bytes = bytes.subarray(0, file.readSync(bytes) ?? 0);
    } catch {
      // It turns the page in this very moment: the next look finds it.
      return 0;
    }
    this.#offset += bytes.length;
    const lines = (this.#pending + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#pending = lines.pop()!.slice(0, LIMITS.logLineBytesMax);
    for (const line of lines) if (line !== "") yield toEntry(line, this.#place.file);
    return bytes.length;
  }
}

function lookAt(path: string): { readonly ino: number | null; readonly size: number } | undefined {
  const info = attempt(() => Deno.lstatSync(path));
  return info?.isFile ? info : undefined;
}
