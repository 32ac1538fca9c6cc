import { LIMITS } from "#/core/limits.ts";
import { type Segment, toKeyPath } from "#/config/key_path.ts";

/**
 * The line, from 1, on which each key path of a TOML text is first written: tables, entries of lists of tables, dotted, quoted
 * and inline keys, elements of lists. The text must have been parsed before: of a text that is no TOML the answer is unspecified,
 * but it ends. smol-toml gives positions for syntax errors only. Grammar: toml.io, TOML 1.1.
 */
export function locateKeys(text: string): ReadonlyMap<string, number> {
  return new KeyScan(text).run();
}

class KeyScan {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** Last index of each list of tables, by the path of the list. */
  readonly #lastIndex = new Map<string, number>();
  #pos = 0;
  #line = 1;
  /** Where the current line ends. Kept, because a search from each key of one long line would cost its length each time. */
  #lineEnd: number;

  constructor(text: string) {
    this.#text = text;
    this.#lineEnd = this.#findLineEnd(0);
  }

  run(): ReadonlyMap<string, number> {
    let table: readonly Segment[] = [];
    while (this.#skipBlank(), this.#pos < this.#text.length) {
      const start = this.#pos;
      if (this.#text[this.#pos] === "[") table = this.#header();
      else this.#pair(table);
      // A text that is no TOML must not hold the scan in one place.
      if (this.#pos === start) this.#pos++;
    }
    return this.#lines;
  }

  #header(): readonly Segment[] {
    const list = this.#text.startsWith("[[", this.#pos);
    const line = this.#lineHere();
    this.#pos += list ? 2 : 1;
    const keys = this.#key();
    while (this.#text[this.#pos] === "]") this.#pos++;
    const path: Segment[] = [];
    for (const [i, key] of keys.entries()) {
      path.push(key);
      const here = toKeyPath(path);
      this.#record(here, line);
      const opened = this.#lastIndex.get(here);
      if (list && i === keys.length - 1) {
        const index = opened === undefined ? 0 : opened + 1;
        this.#lastIndex.set(here, index);
        path.push(index);
        this.#record(toKeyPath(path), line);
      } else if (opened !== undefined) path.push(opened);
    }
    return path;
  }

  #pair(table: readonly Segment[]): void {
    const line = this.#lineHere();
    const path = [...table];
    for (const key of this.#key()) {
      path.push(key);
      if (path.length <= LIMITS.configDepthMax) this.#record(toKeyPath(path), line);
    }
    if (this.#text[this.#pos] !== "=") return;
    this.#pos++;
    this.#skipSpaces();
    this.#value(path);
  }

  #value(path: readonly Segment[]): void {
    const first = this.#text[this.#pos];
    if (first === '"' || first === "'") this.#string();
    else if (first === "[") this.#list(path);
    else if (first === "{") this.#inlineTable(path);
    else this.#skip(/[^,\]}#\n]*/y);
  }

  #list(path: readonly Segment[]): void {
    this.#pos++;
    for (let index = 0; this.#skipBlank(), this.#pos < this.#text.length; index++) {
      if (this.#text[this.#pos] === "]") break;
      const start = this.#pos;
      const element = [...path, index];
      if (index < LIMITS.configListMax && element.length <= LIMITS.configDepthMax) {
        this.#record(toKeyPath(element), this.#lineHere());
      }
      this.#value(element);
      this.#skipBlank();
      if (this.#text[this.#pos] === ",") this.#pos++;
      if (this.#pos === start) return;
    }
    this.#pos++;
  }

  #inlineTable(path: readonly Segment[]): void {
    this.#pos++;
    while (this.#skipBlank(), this.#pos < this.#text.length && this.#text[this.#pos] !== "}") {
      const start = this.#pos;
      this.#pair(path);
      this.#skipBlank();
      if (this.#text[this.#pos] === ",") this.#pos++;
      if (this.#pos === start) return;
    }
    this.#pos++;
  }

  /** A dotted key. Steps beyond the depth of any schema are read and dropped, so that a long one costs no more than its length. */
  #key(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#skipSpaces();
      const first = this.#text[this.#pos];
      const key = first === '"' || first === "'" ? this.#string() : this.#skip(/[A-Za-z0-9_-]*/y);
      if (keys.length < LIMITS.configDepthMax) keys.push(key);
      this.#skipSpaces();
      if (this.#text[this.#pos] !== ".") return keys;
      this.#pos++;
    }
  }

  #string(): string {
    const quote = this.#text[this.#pos]!;
    if (this.#text.startsWith(quote.repeat(3), this.#pos)) {
      // Up to two quotes may stand before the closing three.
      this.#skip(quote === '"' ? /"""(?:[^"\\]+|\\[^]|"{1,2}(?!"))*"{0,5}/y : /'''(?:[^']+|'{1,2}(?!'))*'{0,5}/y);
      return "";
    }
    const written = this.#skip(quote === '"' ? /"(?:[^"\\\n]+|\\.)*"?/y : /'[^'\n]*'?/y);
    const inner = written.slice(1, -1);
    return quote === '"' && inner.includes("\\") ? unescape(inner) : inner;
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#pos;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#pos += found.length;
    return found;
  }

  #skipSpaces(): void {
    this.#skip(/[ \t]*/y);
  }

  #skipBlank(): void {
    this.#skip(/(?:[ \t\r\n\ufeff]+|#[^\n]*)*/y);
  }

  #lineHere(): number {
    while (this.#lineEnd < this.#pos) {
      this.#line++;
      this.#lineEnd = this.#findLineEnd(this.#lineEnd + 1);
    }
    return this.#line;
  }

  #findLineEnd(from: number): number {
    const at = this.#text.indexOf("\n", from);
    return at === -1 ? this.#text.length : at;
  }

  #record(path: string, line: number): void {
    if (!this.#lines.has(path)) this.#lines.set(path, line);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: "\b", t: "\t", n: "\n", f: "\f", r: "\r", e: "\x1b" };

function unescape(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/g,
    (_, x, u, U, single) =>
      single === undefined
        ? String.fromCodePoint(Math.min(parseInt(x ?? u ?? U, 16), 0x10ffff))
        : ESCAPES[single] ?? single,
  );
}
