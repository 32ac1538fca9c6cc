import { AppError } from "#/core/error.ts";
import { toPrintable } from "#/lib/printable.ts";

const [CTRL_C, CTRL_D, BACKSPACE, DELETE, ESCAPE] = [3, 4, 8, 127, 27];
const LINE_BYTES_MAX = 8_192;

/** Questions to a person, and lines from whoever is at the other end of stdin. Questions go to stderr: stdout is for results. */
export class Terminal {
  readonly isTerminal: boolean = Deno.stdin.isTerminal();
  #rest = new Uint8Array(0);

  /** Prints a line. What a server calls its models is in some, and reaches the terminal as text. */
  say(line: string): void {
    console.error(toPrintable(line));
  }

  /** The answer to a question, without blanks around it; undefined at the end of input. */
  async ask(question: string): Promise<string | undefined> {
    this.#write(question);
    const line = await this.#line((bytes) => bytes);
    if (!this.isTerminal || line === undefined) this.#write("\n");
    return line?.trim();
  }

  /** The same for what nobody may see: it is not shown while it is typed. Throws AppError `cancelled` for Ctrl-C. */
  async askSecret(question: string): Promise<string | undefined> {
    if (!this.isTerminal) return await this.ask(question);
    // Before the question: what is pasted at once must not be shown either.
    Deno.stdin.setRaw(true);
    try {
      this.#write(question);
      return (await this.#line(edit))?.trim();
    } finally {
      // Also after a throw: a terminal that stays raw shows nothing any more.
      Deno.stdin.setRaw(false);
      this.#write("\n");
    }
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(toPrintable(text)));
  }

  /** Bytes up to a line end, as `edit` leaves them; what follows stays for the next call. */
  async #line(edit: (bytes: Uint8Array) => Uint8Array): Promise<string | undefined> {
    let line = this.#rest;
    for (;;) {
      line = new Uint8Array(edit(line));
      const end = line.findIndex((byte) => byte === 10 || byte === 13 || byte === CTRL_D);
      if (end === 0 && line[0] === CTRL_D) return undefined;
      if (end >= 0) {
        this.#rest = line.slice(line[end] === 13 && line[end + 1] === 10 ? end + 2 : end + 1);
        return new TextDecoder().decode(line.subarray(0, end));
      }
      if (line.length > LINE_BYTES_MAX) throw new AppError("usage", `a line of more than ${LINE_BYTES_MAX} bytes`);
      const chunk = new Uint8Array(4_096);
      const read = await Deno.stdin.read(chunk);
      if (read === null) {
        this.#rest = new Uint8Array(0);
        return line.length === 0 ? undefined : new TextDecoder().decode(line);
      }
      line = Uint8Array.of(...line, ...chunk.subarray(0, read));
    }
  }
}

/** What raw keys leave of a line: backspace takes one away, a pasted text loses its brackets. Throws AppError `cancelled` for Ctrl-C. */
function edit(bytes: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === CTRL_C) throw new AppError("cancelled", "cancelled");
    if (byte === BACKSPACE || byte === DELETE) kept.pop();
    // A key that is no character, or the brackets of a pasted text: ESC [ … and a letter or ~.
    else if (byte === ESCAPE) { while (at + 1 < bytes.length && !/[A-Za-z~]/.test(String.fromCharCode(bytes[++at]!))); }
    else kept.push(byte);
  }
  return Uint8Array.from(kept);
}
