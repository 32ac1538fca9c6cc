import { LIMITS } from "#/core/limits.ts";

/** A key that does something and is no text. */
export type KeyName =
  | "enter"
  | "newline"
  | "escape"
  | "tab"
  | "backspace"
  | "delete"
  | "up"
  | "down"
  | "left"
  | "right"
  | "word-left"
  | "word-right"
  | "home"
  | "end"
  | "kill-line"
  | "kill-rest"
  | "kill-word"
  | "interrupt"
  | "eof"
  | "redraw"
  /** The terminal's answer to `CSI ? u`: it can tell Shift-Enter from Enter. */
  | "kitty";

/** What a person did at the keyboard. `alone`: nothing else came with it, as when one key is pressed and not a text pasted. */
export type Key =
  | { readonly type: "text"; readonly text: string; readonly alone: boolean }
  | { readonly type: "paste"; readonly text: string }
  | { readonly type: "too-long" }
  | { readonly type: "key"; readonly name: KeyName };

const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";
/** A sequence that a terminal sends for a key: CSI, SS3 (ECMA-48 §5.4), or Alt with a character. */
// deno-lint-ignore no-control-regex -- keys are control characters
const SEQUENCE = /^\x1b(?:\[[0-9;:?<>=]*[ -/]*[@-~]|O[A-Za-z]|[^[O\x1b])/;
// deno-lint-ignore no-control-regex -- see above
const UNFINISHED = /^\x1b(?:\[[0-9;:?<>=]*[ -/]*|O)?$/;

const CONTROL: Readonly<Record<string, KeyName>> = {
  "\r": "enter",
  // Ctrl-J; a terminal in raw mode sends \r for Enter.
  "\n": "newline",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x01": "home",
  "\x02": "left",
  "\x03": "interrupt",
  "\x04": "eof",
  "\x05": "end",
  "\x06": "right",
  "\x0b": "kill-rest",
  "\x0c": "redraw",
  "\x0e": "down",
  "\x10": "up",
  "\x15": "kill-line",
  "\x17": "kill-word",
};

const SEQUENCES: Readonly<Record<string, KeyName>> = {
  "[A": "up",
  "[B": "down",
  "[C": "right",
  "[D": "left",
  "[H": "home",
  "[F": "end",
  "OA": "up",
  "OB": "down",
  "OC": "right",
  "OD": "left",
  "OH": "home",
  "OF": "end",
  "[1~": "home",
  "[4~": "end",
  "[7~": "home",
  "[8~": "end",
  "[3~": "delete",
  "[1;5C": "word-right",
  "[1;5D": "word-left",
  "[1;3C": "word-right",
  "[1;3D": "word-left",
  f: "word-right",
  b: "word-left",
  "\r": "newline",
  "\n": "newline",
  "\x7f": "kill-word",
  // xterm's modifyOtherKeys: Shift and Alt with Enter.
  "[27;2;13~": "newline",
  "[27;3;13~": "newline",
};

/** Keys of the kitty protocol by code point, without modifiers (CSI code ; modifiers u). */
const KITTY: Readonly<Record<number, KeyName>> = {
  9: "tab",
  13: "enter",
  27: "escape",
  127: "backspace",
  57_414: "enter",
};

/** Turns what a terminal sends into keys; a sequence that came in halves is put together. What is no known key is dropped. */
export class KeyReader {
  #pending = "";
  #paste: string | undefined;
  #isTooLong = false;

  /** The keys of what came. */
  feed(text: string): Key[] {
    const keys: Key[] = [];
    let rest = this.#pending + text;
    this.#pending = "";
    while (rest !== "") {
      if (this.#paste !== undefined) {
        rest = this.#takePaste(rest, keys);
        continue;
      }
      if (rest.startsWith(PASTE_BEGIN)) {
        this.#paste = "";
        rest = rest.slice(PASTE_BEGIN.length);
      } else if (rest[0] === "\x1b") {
        const match = SEQUENCE.exec(rest);
        if (match === null && UNFINISHED.test(rest) && rest.length < LIMITS.keySequenceCharsMax) {
          this.#pending = rest;
          return keys;
        }
        if (match === null) keys.push({ type: "key", name: "escape" });
        else pushSequence(match[0].slice(1), keys);
        rest = rest.slice(match?.[0].length ?? 1);
      } else rest = takePlain(rest, keys, text.length);
    }
    return keys;
  }

  /** True while the start of a sequence waits for the rest: after a moment without one it was the Escape key. */
  get waits(): boolean {
    return this.#pending !== "";
  }

  /** Nothing more came: what waits was the Escape key, or is nothing. */
  flush(): Key[] {
    const [pending] = [this.#pending, this.#pending = ""];
    return pending === "\x1b" ? [{ type: "key", name: "escape" }] : [];
  }

  /** Text between the brackets of a paste is text, whatever keys it looks like. Returns what follows it. */
  #takePaste(text: string, keys: Key[]): string {
    const all = this.#paste + text;
    const end = all.indexOf(PASTE_END);
    if (end < 0) {
      // The end itself may have come in halves.
      const keep = all.length > LIMITS.promptCharsMax + PASTE_END.length;
      this.#isTooLong ||= keep;
      this.#paste = keep ? all.slice(-PASTE_END.length) : all;
      return "";
    }
    this.#paste = undefined;
    const pasted = all.slice(0, end).replace(/\r\n?/g, "\n");
    if (this.#isTooLong || pasted.length > LIMITS.promptCharsMax) keys.push({ type: "too-long" });
    else if (pasted !== "") keys.push({ type: "paste", text: pasted });
    this.#isTooLong = false;
    return all.slice(end + PASTE_END.length);
  }
}

function takePlain(text: string, keys: Key[], fed: number): string {
  const control = CONTROL[text[0]!];
  if (control !== undefined) {
    keys.push({ type: "key", name: control });
    return text.slice(1);
  }
  // deno-lint-ignore no-control-regex -- text ends where a key begins
  const plain = /^[^\x00-\x1f\x7f]+/.exec(text)?.[0];
  // A control character that means nothing here.
  if (plain === undefined) return text.slice(1);
  keys.push({ type: "text", text: plain, alone: plain.length === fed });
  return text.slice(plain.length);
}

function pushSequence(sequence: string, keys: Key[]): void {
  const name = Object.hasOwn(SEQUENCES, sequence) ? SEQUENCES[sequence] : fromKitty(sequence);
  if (name === undefined) return;
  keys.push(typeof name === "string" ? { type: "key", name } : name);
}

/** A key in the kitty protocol (progressive enhancement 1): also plain keys with Ctrl come in this form then. */
function fromKitty(sequence: string): KeyName | Key | undefined {
  if (/^\[\?\d+u$/.test(sequence)) return "kitty";
  const match = /^\[(\d+)(?::\d*)*(?:;(\d+)(?::(\d+))?)?(?:;[\d:]*)?u$/.exec(sequence);
  if (match === null) return undefined;
  const code = Number(match[1]);
  // Bits of the modifier less one: 1 Shift, 2 Alt, 4 Ctrl. Event 3 is the key's release.
  const modifier = Number(match[2] ?? 1) - 1;
  if (match[3] === "3") return undefined;
  if (code === 13 && (modifier & 3) !== 0) return "newline";
  if (code === 127 && (modifier & 2) !== 0) return "kill-word";
  if ((modifier & 4) !== 0) return code < 128 ? CONTROL[String.fromCharCode(code & 31)] : undefined;
  if (KITTY[code] !== undefined) return KITTY[code];
  if ((modifier & 2) !== 0 && code < 128) return SEQUENCES[String.fromCharCode(code)];
  const isText = code >= 32 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) &&
    !(code >= 57_344 && code < 63_744);
  return isText ? { type: "text", text: String.fromCodePoint(code), alone: true } : undefined;
}
