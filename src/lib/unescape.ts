/** A text with one layer of escapes undone, and where each part of it came from. */
export interface Unescaped {
  readonly text: string;
  /** From here on, in the original, more text could still change what was read. At the start of an escape or outside any. */
  readonly openAt: number;
  /** What was made of the original up to `openAt`. */
  readonly stable: string;
  /** First place in the original of what stands at this index. */
  startOf(index: number): number;
  /** End in the original of what ends at this index. */
  endOf(index: number): number;
  /** The given place of the original, or the start of the escape that it lies in. */
  floor(place: number): number;
  /** The index of a place of the original that lies in no escape. */
  indexOf(place: number): number;
}

/** Percent (RFC 3986 §2.1, one UTF-8 character), backslashes of JSON, JavaScript and shells, HTML references, and line breaks with the white space behind them. */
const ESCAPE =
  /%(?:[0-7][\da-fA-F]|[c-dC-D][\da-fA-F]%[89abAB][\da-fA-F]|[eE][\da-fA-F](?:%[89abAB][\da-fA-F]){2}|[fF][0-7](?:%[89abAB][\da-fA-F]){3})|\\(?:u[\da-fA-F]{4}|x[\da-fA-F]{2}|[bfnrt]|[^\w\s]| )|&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|amp|lt|gt|quot|apos);|\r?\n[ \t\r\n]{0,255}/g;

/** What may be the start of an escape at the end of a text. */
const OPEN = /%[^]{0,10}$|\\[^]{0,4}$|&[^]{0,8}$|\r$/;
const OPEN_CHARS_MAX = 11;

const LETTERS: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const NAMES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** An escape: its start and end in the original, and its start and end in what was made of it. */
type Token = readonly [from: number, to: number, start: number, end: number];

/** Undoes one layer of escapes, once, from left to right; line breaks vanish.In time linear in the text. */
export function unescapeOnce(text: string): Unescaped {
  const parts: string[] = [];
  const tokens: Token[] = [];
  let [readTo, length, openAt] = [0, 0, text.length];
  for (const match of text.matchAll(ESCAPE)) {
    const meaning = meaningOf(match[0]);
    if (meaning === undefined) continue;
    const start = length + match.index - readTo;
    parts.push(text.slice(readTo, match.index), meaning);
    readTo = match.index + match[0].length;
    length = start + meaning.length;
    tokens.push([match.index, readTo, start, length]);
    // The white space may go on.
    if (meaning === "" && readTo === text.length) openAt = match.index;
  }
  const tail = text.slice(Math.max(readTo, text.length - OPEN_CHARS_MAX));
  const open = OPEN.exec(tail);
  if (open !== null) openAt = text.length - tail.length + open.index;
  parts.push(text.slice(readTo));
  const unescaped = parts.join("");
  const stable = openAt < readTo ? unescaped : unescaped.slice(0, unescaped.length - (text.length - openAt));
  return { text: unescaped, openAt, stable, ...toMap(tokens) };
}

/** The way from one text to the other. */
function toMap(tokens: readonly Token[]): Pick<Unescaped, "startOf" | "endOf" | "floor" | "indexOf"> {
  /** The last token that begins at or before the place. */
  const before = (place: number, side: 0 | 2): Token => {
    let [low, high] = [0, tokens.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (tokens[middle]![side] <= place) low = middle + 1;
      else high = middle;
    }
    return tokens[low - 1] ?? [0, 0, 0, 0];
  };
  const startOf = (index: number): number => {
    const [from, to, , end] = before(index, 2);
    return index < end ? from : to + index - end;
  };
  return {
    startOf,
    endOf(index) {
      const [, to, , end] = before(index - 1, 2);
      return index - 1 < end ? to : to + index - end;
    },
    floor(place) {
      const [from, to] = before(place, 0);
      return place < to ? from : place;
    },
    indexOf(place) {
      const [, to, start, end] = before(place, 0);
      return place < to ? start : end + place - to;
    },
  };
}

/** What an escape stands for; undefined when it stands for nothing. */
function meaningOf(escape: string): string | undefined {
  if (escape[0] === "\n" || escape[0] === "\r") return "";
  if (escape[0] === "%") {
    // Overlong forms and surrogates pass the pattern and are no UTF-8.
    try {
      return decodeURIComponent(escape);
    } catch {
      return undefined;
    }
  }
  if (escape[0] === "\\") {
    const kind = escape[1]!;
    if (escape.length > 2) return String.fromCharCode(parseInt(escape.slice(2), 16));
    return LETTERS[kind] ?? kind;
  }
  const name = escape.slice(1, -1).toLowerCase();
  const code = name.startsWith("#x") ? parseInt(name.slice(2), 16) : Number(name.slice(1));
  if (name[0] !== "#") return NAMES[name]!;
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
