import stringWidth from "string-width";
import { toPrintable } from "#/lib/printable.ts";

/** A piece of a line in one style. The text is printable: `span` makes it so. */
export interface Span {
  readonly text: string;
  readonly bold?: boolean;
  readonly italic?: boolean;
  readonly dim?: boolean;
  readonly underline?: boolean;
  readonly strike?: boolean;
  readonly inverse?: boolean;
  readonly color?: "cyan" | "green" | "red" | "yellow" | "magenta";
}

/** One line of the screen. */
export type Line = readonly Span[];

/** How a span looks. */
export type Look = Omit<Span, "text">;

/** A piece of a line as a terminal may show it: what would steer the terminal is written out, a tab is two blanks, a line break one. Pure. */
export function span(text: string, look: Look = {}): Span {
  return { text: toPrintable(text.replaceAll("\t", "  ").replace(/\r?\n/g, " ")), ...look };
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const ASCII = /^[\x20-\x7e]*$/;

/** What a person takes for characters (UAX #29). Pure. */
export function toGraphemes(text: string): string[] {
  return ASCII.test(text) ? text.split("") : Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** Columns that a terminal gives to this text: 2 for wide ones and emoji, 0 for marks that combine. Pure. */
export function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

/** Columns of a whole line. Pure. */
export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + widthOf(text), 0);
}

/** The start of a text that fits, with `…` when it was cut. Pure. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let out = "";
  let used = 0;
  for (const grapheme of toGraphemes(text)) {
    const columns = widthOf(grapheme);
    if (used + columns > width - 1) break;
    out += grapheme;
    used += columns;
  }
  return width < 1 ? "" : `${out}…`;
}

/**
 * Lines of at most `width` columns, broken at blanks where there are some and inside a word where there are none; `rest` begins every line
 * but the first, where it leaves room for one. A grapheme wider than `width` has its own line. Pure.
 */
export function wrapLine(line: Line, width: number, rest: Line = []): Line[] {
  if (lineWidth(line) <= width) return [line];
  const indent = lineWidth(rest) > width / 2 ? [] : rest;
  const indentWidth = lineWidth(indent);
  const lines: Span[][] = [[]];
  let used = 0;
  const begin = () => {
    trimEnd(lines.at(-1)!);
    lines.push([...indent]);
    used = indentWidth;
  };
  const put = (text: string, look: Look) => {
    const current = lines.at(-1)!;
    const last = current.at(-1);
    if (last !== undefined && isSameLook(last, look)) current[current.length - 1] = { ...last, text: last.text + text };
    else current.push({ ...look, text });
    used += widthOf(text);
  };
  for (const word of toWords(line)) {
    const columns = lineWidth(word);
    if (used + columns <= width) word.forEach(({ text, ...look }) => put(text, look));
    else if (word[0]!.text.startsWith(" ")) begin();
    else {
      if (used > indentWidth && columns <= width - indentWidth) begin();
      for (const { text, ...look } of word) {
        for (const grapheme of toGraphemes(text)) {
          if (used + widthOf(grapheme) > width && used > indentWidth) begin();
          put(grapheme, look);
        }
      }
    }
  }
  return lines;
}

/** Blanks and words in turn; a word may have parts of different looks. */
function toWords(line: Line): Span[][] {
  const words: Span[][] = [];
  for (const { text, ...look } of line) {
    for (const part of text.match(/ +|[^ ]+/g) ?? []) {
      const last = words.at(-1);
      const joins = last !== undefined && !part.startsWith(" ") && !last[0]!.text.startsWith(" ");
      if (joins) last.push({ ...look, text: part });
      else words.push([{ ...look, text: part }]);
    }
  }
  return words;
}

function trimEnd(line: Span[]): void {
  const last = line.at(-1);
  if (last !== undefined) line[line.length - 1] = { ...last, text: last.text.trimEnd() };
}

function isSameLook(left: Look, right: Look): boolean {
  return left.bold === right.bold && left.italic === right.italic && left.dim === right.dim &&
    left.underline === right.underline && left.strike === right.strike && left.inverse === right.inverse &&
    left.color === right.color;
}
