import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";

const NUL = 0;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Takes the records of a shell's agent out of its output: NUL, the nonce of the request that runs, a blank, text, NUL. Everything else is output,
 * NULs and records of other requests included.
 */
export class ShellRecords {
  #mark: Uint8Array = new Uint8Array(0);
  /** May be the beginning of a record. */
  #held: Uint8Array = new Uint8Array(0);

  /** From now on records with this nonce count. */
  expect(nonce: string): void {
    this.#mark = encoder.encode(`${nonce} `);
  }

  /** The pieces in order: bytes of output, or the text of a record. */
  push(chunk: Uint8Array): (Uint8Array | string)[] {
    const bytes = this.#held.length === 0 ? chunk : concatBytes([this.#held, chunk]);
    this.#held = new Uint8Array(0);
    const pieces: (Uint8Array | string)[] = [];
    let start = 0;
    let from = 0;
    for (let at = bytes.indexOf(NUL); at >= 0; at = bytes.indexOf(NUL, from)) {
      const end = this.#end(bytes, at);
      from = at + 1;
      if (end === "none") {
        // A gigabyte of NULs is no reason to ask for each of them.
        while (bytes[from] === NUL && bytes[from + 1] === NUL) from++;
        continue;
      }
      if (at > start) pieces.push(bytes.subarray(start, at));
      start = at;
      if (end === "held") {
        // A copy: the rest of the chunk need not stay for it.
        this.#held = bytes.slice(at);
        return pieces;
      }
      pieces.push(decoder.decode(bytes.subarray(at + 1 + this.#mark.length, end)));
      start = from = end + 1;
    }
    if (start < bytes.length) pieces.push(bytes.subarray(start));
    return pieces;
  }

  /** Where the record that begins at this NUL ends; `held` when more bytes decide. */
  #end(bytes: Uint8Array, at: number): number | "none" | "held" {
    const mark = this.#mark;
    for (let i = 0; i < mark.length; i++) {
      if (at + 1 + i >= bytes.length) return "held";
      if (bytes[at + 1 + i] !== mark[i]) return "none";
    }
    if (mark.length === 0) return "none";
    const end = bytes.indexOf(NUL, at + 1 + mark.length);
    if (end >= 0) return end;
    return bytes.length - at > LIMITS.shellRecordBytesMax ? "none" : "held";
  }
}
