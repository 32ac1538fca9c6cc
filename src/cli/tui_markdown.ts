import { LIMITS } from "#/core/limits.ts";
import { clip, type Line, lineWidth, type Look, type Span, span, wrapLine } from "#/cli/tui_text.ts";

/** Where a Markdown text stands after its last whole line. */
export interface MarkdownState {
  /** The fence that closes the open code block, as it was opened. */
  readonly fence?: string;
  /** Rows of a table that may still grow: its columns are known when it ends. */
  readonly table: readonly string[];
  /** The line that has not ended. */
  readonly tail: string;
}

/** A text that has not begun. */
export const MARKDOWN_START: MarkdownState = { table: [], tail: "" };

/** Columns that a table cell gets at least before rows are shown as lists. */
const CELL_COLUMNS_MIN = 6;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?(.*)$/;
const RULE = /^ {0,3}([-*_])( *\1){2,}\s*$/;
const ROW = /^\s*\|.*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
/** A start of a line that may still become a mark: it is shown when it is known what it is. */
const UNDECIDED = /^\s*(#{1,6}|[-*+_]{1,3}|\d{1,9}[.)]?|`{1,3}|~{1,3}|>)?\s*$/;

/**
 * Takes more of a text and gives back the lines that are final: no later text changes them, so they can leave the live part of the screen.
 * A line is final when it has ended; of a table, when the table has. Pure.
 */
export function feedMarkdown(
  state: MarkdownState,
  text: string,
  width: number,
): { readonly state: MarkdownState; readonly lines: Line[] } {
  const parts = (state.tail + text).split("\n").flatMap(cutLong);
  const tail = parts.pop()!;
  const lines: Line[] = [];
  let current: MarkdownState = { ...state, tail: "" };
  for (const part of parts) {
    const step = feedLine(current, part.replace(/\r$/, ""), width);
    lines.push(...step.lines);
    current = step.state;
  }
  return { state: { ...current, tail }, lines };
}

/** A line without an end does not stay open for ever: it is cut at a blank where it has one. */
function cutLong(line: string): string[] {
  const pieces: string[] = [];
  let rest = line;
  while (rest.length > LIMITS.tuiTailCharsMax) {
    const blank = rest.lastIndexOf(" ", LIMITS.tuiTailCharsMax);
    const at = blank > LIMITS.tuiTailCharsMax / 2 ? blank + 1 : LIMITS.tuiTailCharsMax;
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  return [...pieces, rest];
}

/** The text has ended: what was open is final. Pure. */
export function endMarkdown(state: MarkdownState, width: number): Line[] {
  if (state.tail === "") return renderTable(state.table, width);
  const { state: ended, lines } = feedLine({ ...state, tail: "" }, state.tail, width);
  return [...lines, ...renderTable(ended.table, width)];
}

/** The open part as it looks now: marks that are not closed yet count as closed, so that what is shown does not change when they are. Pure. */
export function peekMarkdown(state: MarkdownState, width: number): Line[] {
  const table = renderTable(state.table, width);
  if (state.tail === "") return table;
  if (state.fence !== undefined) return isFenceEnd(state.tail, state.fence) ? [] : toCode(state.tail, width);
  if (UNDECIDED.test(state.tail)) return table;
  if (ROW.test(state.tail)) return table;
  return [...table, ...renderLine(state.tail, width, true)];
}

function feedLine(state: MarkdownState, line: string, width: number): { state: MarkdownState; lines: Line[] } {
  const { fence, ...open } = state;
  if (fence !== undefined) {
    if (isFenceEnd(line, fence)) return { state: open, lines: [] };
    return { state, lines: toCode(line, width) };
  }
  if (ROW.test(line)) return { state: { ...state, table: [...state.table, line] }, lines: [] };
  const table = renderTable(state.table, width);
  const rest = { ...state, table: [] };
  const opened = FENCE.exec(line);
  if (opened === null) return { state: rest, lines: [...table, ...renderLine(line, width, false)] };
  const label = opened[2]!.trim();
  const head: Line[] = label === "" ? [] : [[span(clip(`  ${label}`, width), { dim: true, italic: true })]];
  return { state: { ...rest, fence: opened[1]! }, lines: [...table, ...head] };
}

function isFenceEnd(line: string, fence: string): boolean {
  const trimmed = line.trim();
  return trimmed.length >= fence.length && trimmed === fence[0]!.repeat(trimmed.length);
}

function toCode(line: string, width: number): Line[] {
  const indent = span("    ");
  return wrapLine([indent, span(line, { color: "cyan" })], width, [indent]);
}

function renderLine(line: string, width: number, open: boolean): Line[] {
  if (line.trim() === "") return [[]];
  if (RULE.test(line)) return [[span("─".repeat(Math.max(1, Math.min(width, 40))), { dim: true })]];
  const heading = HEADING.exec(line);
  if (heading !== null) {
    const look: Look = heading[1]!.length === 1 ? { bold: true, underline: true } : { bold: true };
    return wrapLine(toSpans(heading[2]!, look, open), width);
  }
  const quote = QUOTE.exec(line);
  if (quote !== null) {
    const bar = span("│ ", { dim: true });
    return wrapLine([bar, ...toSpans(quote[1]!, { italic: true }, open)], width, [bar]);
  }
  const item = ITEM.exec(line);
  if (item === null) return wrapLine(toSpans(line, {}, open), width);
  const mark = `${item[1]!.slice(0, 12)}${/\d/.test(item[2]!) ? item[2]! : "•"} `;
  return wrapLine([span(mark), ...toSpans(item[3]!, {}, open)], width, [span(" ".repeat(mark.length))]);
}

const MARKS: readonly (readonly [mark: string, look: Look])[] = [
  ["***", { bold: true, italic: true }],
  ["**", { bold: true }],
  ["__", { bold: true }],
  ["~~", { strike: true }],
  ["*", { italic: true }],
  ["_", { italic: true }],
];

/** Inline marks of one line. `open`: a mark that has no end yet has one at the end of the text. Code and links keep their signs, so that they read without colour. */
function toSpans(text: string, look: Look, open: boolean): Span[] {
  const spans: Span[] = [];
  let plain = "";
  const flush = () => {
    if (plain !== "") spans.push(span(plain, look));
    plain = "";
  };
  for (let at = 0; at < text.length;) {
    const found = findCode(text, at, open) ?? findLink(text, at) ?? findMark(text, at, look, open);
    if (found === undefined) {
      const isEscape = text[at] === "\\" && /[\\`*_[\]#~>-]/.test(text[at + 1] ?? "");
      plain += isEscape ? text[at + 1] : text[at];
      at += isEscape ? 2 : 1;
    } else {
      flush();
      spans.push(...found.spans);
      at = found.end;
    }
  }
  flush();
  return spans;
}

interface Found {
  readonly spans: Span[];
  readonly end: number;
}

function findCode(text: string, at: number, open: boolean): Found | undefined {
  if (text[at] !== "`") return undefined;
  const mark = /^`+/.exec(text.slice(at))![0];
  const end = text.indexOf(mark, at + mark.length);
  if (end < 0 && !open) return { spans: [span(mark)], end: at + mark.length };
  const stop = end < 0 ? text.length : end + mark.length;
  return { spans: [span(text.slice(at, stop), { color: "cyan" })], end: stop };
}

/** The address stays in sight: a text can say what it likes about where a link leads. */
function findLink(text: string, at: number): Found | undefined {
  if (text[at] !== "[") return undefined;
  const match = /^\[([^\]]{1,500})\]\(([^)\s]{1,2000})\)/.exec(text.slice(at));
  if (match === null) return undefined;
  const dim = { dim: true };
  const spans = [
    span("[", dim),
    span(match[1]!, { underline: true }),
    span("](", dim),
    span(match[2]!, dim),
    span(")", dim),
  ];
  return { spans, end: at + match[0].length };
}

function findMark(text: string, at: number, look: Look, open: boolean): Found | undefined {
  for (const [mark, more] of MARKS) {
    if (!text.startsWith(mark, at)) continue;
    // `2 * 3 * 4` and `snake_case` are no emphasis.
    const isInWord = /[\p{L}\p{N}]/u.test(text[at - 1] ?? "");
    const isBeforeBlank = /^(\s|$)/.test(text.slice(at + mark.length));
    if (isInWord || (isBeforeBlank && !(open && at + mark.length === text.length))) return undefined;
    const end = findMarkEnd(text, at + mark.length, mark);
    if (end < 0 && !open) continue;
    const inner = text.slice(at + mark.length, end < 0 ? text.length : end);
    // A mark at the very end of an open text may be half of its own end.
    const shown = end < 0 ? inner.replace(/[*_~]+$/, "") : inner;
    const stop = end < 0 ? text.length : end + mark.length;
    return { spans: shown === "" ? [] : toSpans(shown, { ...look, ...more }, open), end: stop };
  }
  return undefined;
}

function findMarkEnd(text: string, from: number, mark: string): number {
  for (let end = text.indexOf(mark, from + 1); end > 0; end = text.indexOf(mark, end + 1)) {
    const isInWord = mark.startsWith("_") && /[\p{L}\p{N}]/u.test(text[end + mark.length] ?? "");
    if (!/\s/.test(text[end - 1]!) && !isInWord && text[end + mark.length] !== mark[0]) return end;
  }
  return -1;
}

/** Rows with columns that fit; where they do not, each row as a list of its cells. */
function renderTable(rows: readonly string[], width: number): Line[] {
  if (rows.length === 0) return [];
  const isTable = rows.length > 1 && DIVIDER.test(rows[1]!);
  if (!isTable) return rows.flatMap((row) => renderLine(row, width, false));
  const cells = rows.filter((_, at) => at !== 1).map(toCells);
  const columns = Math.max(...cells.map((row) => row.length));
  const spans = cells.map((row, at) => {
    return Array.from({ length: columns }, (_, i) => toSpans(row[i] ?? "", at === 0 ? { bold: true } : {}, false));
  });
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...spans.map((row) => lineWidth(row[i]!))));
  const gaps = (columns - 1) * 2;
  if (widths.reduce((sum, each) => sum + each, gaps) > width) return renderRecords(spans, width, widths, gaps);
  return toRows(spans, widths);
}

function toRows(spans: readonly Span[][][], widths: readonly number[]): Line[] {
  const lines: Line[] = spans.map((row) =>
    row.flatMap((cell, i) => {
      if (i === row.length - 1) return cell;
      return [...cell, span(" ".repeat(Math.max(0, widths[i]! - lineWidth(cell)) + 2))];
    })
  );
  const rule = span(widths.map((each) => "─".repeat(Math.max(1, each))).join("  "), { dim: true });
  return [lines[0]!, [rule], ...lines.slice(1)];
}

/** Columns are made narrower and their cells wrapped, or, when even that is too wide, rows become lists. */
function renderRecords(spans: readonly Span[][][], width: number, widths: readonly number[], gaps: number): Line[] {
  const share = Math.floor((width - gaps) / widths.length);
  if (share >= CELL_COLUMNS_MIN * 2) {
    const fitted = widths.map((each) => Math.min(each, share));
    const [first, ...rest] = spans.map((row) => {
      const wrapped = row.map((cell, i) => wrapLine(cell, fitted[i]!));
      const height = Math.max(...wrapped.map((lines) => lines.length));
      return Array.from(
        { length: height },
        (_, at) => toRows([wrapped.map((lines) => [...lines[at] ?? []])], fitted)[0]!,
      );
    });
    const rule = [span(fitted.map((each) => "─".repeat(each)).join("  "), { dim: true })];
    return [...first!, rule, ...rest.flat()];
  }
  const [names, ...records] = spans;
  return records.flatMap((row, at) => [
    ...(at === 0 ? [] : [[]]),
    ...row.flatMap((cell, i) => wrapLine([...names![i]!, span(": "), ...cell], width, [span("  ")])),
  ]);
}

function toCells(row: string): string[] {
  return row.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
}
