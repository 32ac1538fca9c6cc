/** What a regular expression says about every match, found without running it. */
export interface Prefilter {
  /** A text that each match contains, or `""`. */
  readonly literal: string;
  /** No match reaches over a line feed, so each line can be tried alone. */
  readonly lineLocal: boolean;
}

/** A piece of a pattern: a character that must be there, or anything else. */
interface Piece {
  readonly char: string;
  /** Source of what is not a plain character. */
  readonly other: string;
}

/** Escapes of one letter that stand for themselves; `\u0041`, `\x41`, `\cA`, `\012`, `\1` and `\k<name>` take what follows into their meaning. */
const SHORT_ESCAPES = "wWdDsSbBtnrvf";
/** Those of them that cannot match a line feed. */
const LINE_LOCAL_ESCAPES = "wdSbB";
const NOTHING: Prefilter = { literal: "", lineLocal: false };

/**
 * Reads a pattern from left to right, once. QuickJS tries a pattern at every offset (30–120 ns each here), `indexOf` takes 15:
 * a text that must be there makes most files, and a pattern with `.*` in front, cheap. Whatever it does not understand counts
 * as "says nothing", so that it can only miss a saving, never a match.
 */
export function planPrefilter(pattern: string): Prefilter {
  const pieces = toPieces(pattern);
  if (pieces === undefined) return NOTHING;
  const lineLocal = pieces.every((piece) => piece.char !== "\n" && isLineLocal(piece.other));
  return { literal: longestLiteral(pieces), lineLocal };
}

/** Pieces outside of groups, in order; a group is one piece. `undefined` when the pattern is broken or has a top-level `|`. */
function toPieces(pattern: string): Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at]!;
    if (char === "|") return undefined;
    const end = endOfPiece(pattern, at);
    if (end < 0) return undefined;
    const source = pattern.slice(at, end);
    if (
      char === "\\" && /[0-9A-Za-z]/.test(source[1]!) &&
      !SHORT_ESCAPES.includes(source[1]!)
    ) return undefined;
    const plain = source.length === 1 && !"^$.".includes(source) ? source : toEscaped(source);
    const quantified = /^(?:[*+?]|\{[0-9,]+\})\??/.exec(pattern.slice(end, end + 24))?.[0] ?? "";
    if (plain !== "" && quantified === "") {
      pieces.push({ char: plain, other: "" });
    } else if (plain !== "" && quantified[0] === "+") {
      pieces.push({ char: plain, other: "" }, { char: "", other: "" });
    } else pieces.push({ char: "", other: source });
    at = end + quantified.length;
  }
  return pieces;
}

/** `\.` means the character; `\w` and its kin mean a class and give `""`. */
function toEscaped(source: string): string {
  return source.length === 2 && source[0] === "\\" &&
      !/[0-9A-Za-z]/.test(source[1]!)
    ? source[1]!
    : "";
}

/** End of the character, escape, class or group that starts here; -1 when it never ends. */
function endOfPiece(pattern: string, at: number): number {
  const char = pattern[at];
  if (char === "\\") return at + 1 < pattern.length ? at + 2 : -1;
  if (char === "[") return endOfClass(pattern, at);
  if (char !== "(") return at + 1;
  let depth = 0;
  for (let inner = at; inner < pattern.length;) {
    if (pattern[inner] === "\\") inner += 2;
    else if (pattern[inner] === "[") {
      inner = endOfClass(pattern, inner);
      if (inner < 0) return -1;
    } else {
      if (pattern[inner] === "(") depth++;
      if (pattern[inner] === ")" && --depth === 0) return inner + 1;
      inner++;
    }
  }
  return -1;
}

function endOfClass(pattern: string, at: number): number {
  for (let inner = at + 1; inner < pattern.length; inner++) {
    if (pattern[inner] === "\\") inner++;
    else if (pattern[inner] === "]") return inner + 1;
  }
  return -1;
}

/** Refuses negated classes, unknown escapes, control characters (a range may span the line feed) and inline flags. */
function isLineLocal(source: string): boolean {
  if (/\[\^/.test(source) || /\(\?(?![:=!<])/.test(source)) return false;
  // deno-lint-ignore no-control-regex -- a control character is just what is looked for
  if (/[\u0000-\u001f]/.test(source)) return false;
  for (const [, escaped] of source.matchAll(/\\([\s\S])/g)) {
    if (
      /[0-9A-Za-z]/.test(escaped!) && !LINE_LOCAL_ESCAPES.includes(escaped!)
    ) return false;
  }
  return true;
}

function longestLiteral(pieces: readonly Piece[]): string {
  let best = "";
  let run = "";
  for (const piece of pieces) {
    run = piece.char === "" ? "" : run + piece.char;
    if (run.length > best.length) best = run;
  }
  return best;
}
