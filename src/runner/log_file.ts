import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";

/** A log that keeps its newest lines within a bound. */
export interface LogFile {
  write(line: string): void;
  /** A second call does nothing. */
  close(): void;
}

/**
 * Opens a log file for appending, mode 0600, in a folder that only the runner writes. At half of `logBytesMax` the file becomes
 * `<path>.1` and a new one begins, so that both together stay within the bound. What a guest says is written as text, and at most
 * `logLinesPerSecMax` lines of it: the rest is counted, or a flood of empty lines would keep the runner from everything
 * else. A full disk loses lines, never the caller. `now` is integer ms UTC.
 */
export function openLogFile(
  path: string,
  bytesMax: number = LIMITS.logBytesMax,
  now: () => number = Date.now,
): LogFile {
  const file = new RotatingFile(path, bytesMax);
  let second = 0;
  let lines = 0;
  const turnTo = (next: number) => {
    const dropped = lines - LIMITS.logLinesPerSecMax;
    if (dropped > 0) {
      file.append(`${new Date(second * 1_000).toISOString()} runner: ${dropped} more lines in this second`);
    }
    second = next;
    lines = 0;
  };
  return {
    write(line) {
      const at = now();
      if (Math.floor(at / 1_000) !== second) turnTo(Math.floor(at / 1_000));
      if (++lines <= LIMITS.logLinesPerSecMax) file.append(`${new Date(at).toISOString()} ${toPrintable(line)}`);
    },
    close() {
      turnTo(0);
      file.close();
    },
  };
}

class RotatingFile {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #encoder = new TextEncoder();
  #file: Deno.FsFile | undefined;
  #bytes = 0;

  constructor(path: string, bytesMax: number) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    try {
      this.#file = open(path);
      this.#bytes = this.#file.statSync().size;
    } catch {
      // A disk that takes no log is no reason not to start; the workspace itself says so when it takes nothing else.
    }
  }

  append(line: string): void {
    if (this.#file === undefined) return;
    const entry = this.#encoder.encode(`${line}\n`);
    try {
      if (this.#bytes + entry.length > this.#bytesMax / 2) this.#rotate();
      this.#bytes += this.#file.writeSync(entry);
    } catch {
      // Nowhere to write it down.
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #rotate(): void {
    try {
      Deno.renameSync(this.#path, `${this.#path}.1`);
      const next = open(this.#path);
      this.#file?.close();
      this.#file = next;
    } catch {
      // Something is in the way: the bound holds all the same, the older lines are lost.
      this.#file?.truncateSync(0);
    }
    this.#bytes = 0;
  }
}

function open(path: string): Deno.FsFile {
  return Deno.openSync(path, { append: true, create: true, mode: 0o600 });
}
