import { concatBytes } from "#/lib/bytes.ts";

/** What a command wrote, as a model reads it. */
export interface ShellText {
  readonly text: string;
  /** Size of all of it. */
  readonly bytes: number;
  /** Characters that stand for what was no text. */
  readonly strange: number;
}

// Escape sequences of a terminal: CSI and OSC (ECMA-48 §5.4, xterm's control sequences), and those of two characters.
// deno-lint-ignore no-control-regex -- the control characters are what it looks for
const SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,1024}(?:\u0007|\u001b\\)|[ -/]?[0-Z\\-~])/g;
// deno-lint-ignore no-control-regex -- likewise
const STRANGE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffd]/g;
const RUN = /\ufffd{4,}/g;
const decoder = new TextDecoder();

/** Keeps how an output begins and how it ends, whatever its size. */
export class BoundedOutput {
  readonly #headMax: number;
  readonly #tailMax: number;
  #head: Uint8Array[] = [];
  #headBytes = 0;
  /** At least the last `tailMax` bytes behind the head, at most twice as many and a chunk. */
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  #bytes = 0;

  constructor(headMax: number, tailMax: number) {
    this.#headMax = headMax;
    this.#tailMax = tailMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    const room = Math.min(chunk.length, this.#headMax - this.#headBytes);
    if (room > 0) {
      this.#head.push(chunk.slice(0, room));
      this.#headBytes += room;
    }
    const rest = chunk.subarray(Math.max(room, chunk.length - this.#tailMax));
    if (rest.length === 0) return;
    this.#tail.push(rest.slice());
    this.#tailBytes += rest.length;
    if (this.#tailBytes > this.#tailMax * 2) {
      const kept = concatBytes(this.#tail).slice(-this.#tailMax);
      [this.#tail, this.#tailBytes] = [[kept], kept.length];
    }
  }

  /** The last characters, for who looks for a question. */
  get end(): string {
    const all = concatBytes([...this.#head.slice(-4), ...this.#tail]);
    return toPlain(decoder.decode(all.subarray(-256))).text;
  }

  /** The bytes that its end is kept in, and whether there were others before them. */
  get tail(): { readonly bytes: Uint8Array; readonly isCut: boolean } {
    const bytes = concatBytes(this.#tail).slice(-this.#tailMax);
    return { bytes, isCut: this.#bytes > this.#headBytes + bytes.length };
  }

  read(): ShellText {
    const { bytes: tail, isCut } = this.tail;
    if (!isCut) return { ...toPlain(decoder.decode(concatBytes([...this.#head, tail]))), bytes: this.#bytes };
    const [head, end] = [trimEnd(concatBytes(this.#head)), trimStart(tail)];
    const first = toPlain(decoder.decode(head));
    const last = toPlain(decoder.decode(end));
    const hidden = this.#bytes - head.length - end.length;
    const text = `${first.text}\n[… ${hidden} of ${this.#bytes} bytes of output are left out here …]\n${last.text}`;
    return { text, bytes: this.#bytes, strange: first.strange + last.strange };
  }
}

/**
 * Text as a terminal would leave it: without colours and cursor movements, a line that was written over as it was last; any other control
 * character, and what is no UTF-8, is U+FFFD, and counted. Pure.
 */
export function toPlain(raw: string): { readonly text: string; readonly strange: number } {
  let strange = 0;
  const text = raw.replace(SEQUENCE, "").replace(/\r+\n/g, "\n").replace(/[^\n]*\r(?!\n|$)/g, "").replace(/\r/g, "")
    .replace(STRANGE, () => {
      strange++;
      return "\ufffd";
    }).replace(RUN, "\ufffd\ufffd\ufffd");
  return { text, strange };
}

/** Without the beginning of a character that a cut left at the end (RFC 3629 §3). */
function trimEnd(bytes: Uint8Array): Uint8Array {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.subarray(0, bytes.length - back) : bytes;
    }
  }
  return bytes;
}

function trimStart(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < 3 && at < bytes.length && (bytes[at]! & 0xc0) === 0x80) at++;
  return bytes.subarray(at);
}
