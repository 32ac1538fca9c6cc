import type { OutputSoFar } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { BoundedOutput, toPlain } from "#/sandbox/shell_output.ts";

/** Told of an output that grows. Synchronous. */
export type OnOutput = (output: OutputSoFar) => void;

const decoder = new TextDecoder();
const [NEWLINE, RETURN] = [10, 13];

/**
 * What a person may see of an output while it grows: how it ends, every `liveOutputMs` at most. Lines come whole (a secret that was half
 * written is nobody's to see), a progress bar as it stands, and scrubbed as the result will be.
 */
export class LiveOutput implements Disposable {
  readonly #onOutput: OnOutput;
  readonly #scrub: (text: string) => string;
  readonly #output = new BoundedOutput(0, LIMITS.shellTailBytesMax);
  #lines = 0;
  #told = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onOutput: OnOutput, scrub: (text: string) => string) {
    this.#onOutput = onOutput;
    this.#scrub = scrub;
  }

  push(bytes: Uint8Array): void {
    this.#output.push(bytes);
    this.#lines += countLines(bytes);
    this.#timer ??= setTimeout(() => this.#tell(), LIMITS.liveOutputMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    this.#timer = undefined;
    const { bytes, isCut } = this.#output.tail;
    const end = Math.max(bytes.lastIndexOf(NEWLINE), bytes.lastIndexOf(RETURN)) + 1;
    // Of a line that began before all that is kept, the end alone would be a secret's end.
    const start = isCut ? bytes.indexOf(NEWLINE) + 1 : 0;
    if (end <= start) return;
    const tail = lastLines(this.#scrub(toPlain(decoder.decode(bytes.subarray(start, end))).text));
    if (tail === this.#told) return;
    this.#told = tail;
    this.#onOutput({ tail, lines: this.#lines });
  }
}

/** By index and without a call a line: a command may write half a billion of them (47 ms for 100 MB of `y`, 714 ms with indexOf). */
function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === NEWLINE) count++;
  return count;
}

/** The last whole lines, `liveTailCharsMax` at most. */
function lastLines(text: string): string {
  if (text.length <= LIMITS.liveTailCharsMax) return text;
  const end = text.slice(-LIMITS.liveTailCharsMax);
  return end.slice(end.indexOf("\n") + 1);
}

/** Tells on what it is told, unless the one before is not through yet: who does not read misses what comes meanwhile, and the next one says it all. */
export function oneAtATime(tell: (output: OutputSoFar) => Promise<void>): OnOutput {
  let isTelling = false;
  return (output) => {
    if (isTelling) return;
    isTelling = true;
    // A guest that is gone is heard of elsewhere.
    void tell(output).catch(() => {}).finally(() => isTelling = false);
  };
}
