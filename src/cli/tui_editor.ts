import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";
import type { Key } from "#/cli/tui_keys.ts";
import { toGraphemes, widthOf } from "#/cli/tui_text.ts";

/** A message that is being written. `cursor` is an index into `text`, between two graphemes. */
export interface Draft {
  readonly text: string;
  readonly cursor: number;
  /** Earlier messages, oldest first: of this process alone, for a client may write no file. */
  readonly history: readonly string[];
  /** Which of them is shown; undefined while the person's own text is. */
  readonly shown?: number;
  /** The person's own text, while an earlier message is shown. */
  readonly kept?: string;
}

/** An empty message. */
export const DRAFT_START: Draft = { text: "", cursor: 0, history: [] };

/** Where the lines of a draft break, and where its cursor is. */
export interface DraftLayout {
  readonly lines: readonly string[];
  /** Column and line of the cursor. */
  readonly x: number;
  readonly y: number;
}

/** What one key does to a draft; undefined when it is not a key of the editor, or the text would get too long. Pure. */
export function editDraft(draft: Draft, key: Key, width: number): Draft | undefined {
  if (key.type === "too-long") return undefined;
  if (key.type !== "key") return insert(draft, key.text);
  const { text, cursor } = draft;
  switch (key.name) {
    case "newline":
      return insert(draft, "\n");
    case "backspace":
      return cut(draft, before(text, cursor), cursor);
    case "delete":
      return cut(draft, cursor, after(text, cursor));
    case "left":
      return { ...draft, cursor: before(text, cursor) };
    case "right":
      return { ...draft, cursor: after(text, cursor) };
    case "word-left":
      return { ...draft, cursor: wordBefore(text, cursor) };
    case "word-right":
      return { ...draft, cursor: cursor + (/^\s*\S*/.exec(text.slice(cursor))![0].length) };
    case "home":
      return { ...draft, cursor: lineStart(text, cursor) };
    case "end":
      return { ...draft, cursor: lineEnd(text, cursor) };
    case "kill-line":
      return cut(draft, lineStart(text, cursor), cursor);
    case "kill-rest":
      return cut(draft, cursor, lineEnd(text, cursor));
    case "kill-word":
      return cut(draft, wordBefore(text, cursor), cursor);
    case "up":
      return moveLine(draft, -1, width) ?? recall(draft, -1);
    case "down":
      return moveLine(draft, 1, width) ?? recall(draft, 1);
    default:
      return undefined;
  }
}

/** Puts text at the cursor; undefined when it would get longer than a message may be. Pure. */
export function insert(draft: Draft, added: string): Draft | undefined {
  const text = draft.text.slice(0, draft.cursor) + added + draft.text.slice(draft.cursor);
  if (text.length > LIMITS.promptCharsMax) return undefined;
  return edited(draft, text, draft.cursor + added.length);
}

/** An empty draft that remembers what was sent. Pure. */
export function sendDraft({ text, history }: Draft): Draft {
  const isNew = text.trim() !== "" && history.at(-1) !== text;
  const all = isNew ? [...history, text] : history;
  let chars = 0;
  // A person may paste megabytes, often.
  const kept = all.toReversed().filter((each) => (chars += each.length) <= LIMITS.tuiHistoryCharsMax).toReversed();
  return { ...DRAFT_START, history: kept.slice(-LIMITS.tuiHistoryMax) };
}

/** The same with another text, and the cursor behind it. Pure. */
export function setDraft(draft: Draft, text: string): Draft {
  return edited(draft, text, text.length);
}

function edited({ history }: Draft, text: string, cursor: number): Draft {
  return { text, cursor, history };
}

function cut(draft: Draft, from: number, to: number): Draft {
  return edited(draft, draft.text.slice(0, from) + draft.text.slice(to), from);
}

/** The line of the draft that the cursor is on; a grapheme never reaches over a line end. */
function lineAround(text: string, cursor: number): { readonly from: number; readonly to: number } {
  return { from: lineStart(text, cursor), to: lineEnd(text, cursor) };
}

function before(text: string, cursor: number): number {
  if (cursor === 0) return 0;
  const { from } = lineAround(text, cursor);
  if (from === cursor) return cursor - 1;
  return cursor - toGraphemes(text.slice(from, cursor)).at(-1)!.length;
}

function after(text: string, cursor: number): number {
  if (cursor >= text.length) return text.length;
  const { to } = lineAround(text, cursor);
  if (to === cursor) return cursor + 1;
  return cursor + toGraphemes(text.slice(cursor, to))[0]!.length;
}

function wordBefore(text: string, cursor: number): number {
  return cursor - /\S*\s*$/.exec(text.slice(0, cursor))![0].length;
}

function lineStart(text: string, cursor: number): number {
  return cursor === 0 ? 0 : text.lastIndexOf("\n", cursor - 1) + 1;
}

function lineEnd(text: string, cursor: number): number {
  const end = text.indexOf("\n", cursor);
  return end < 0 ? text.length : end;
}

/** One line up or down within the draft, as it is laid out; undefined at its edge. */
function moveLine(draft: Draft, by: 1 | -1, width: number): Draft | undefined {
  const rows = toRows(draft, width);
  const y = rowOf(rows, draft.cursor);
  const target = rows[y + by];
  if (target === undefined) return undefined;
  const wanted = widthOf(shown(draft.text.slice(rows[y]!.from, draft.cursor)));
  let cursor = target.from;
  let used = 0;
  for (const grapheme of toGraphemes(draft.text.slice(target.from, target.to))) {
    const columns = widthOf(shown(grapheme));
    if (used + columns > wanted) break;
    used += columns;
    cursor += grapheme.length;
  }
  return { ...draft, cursor };
}

/** The message before or after the one that is shown; the person's own text is behind the newest. */
function recall(draft: Draft, by: 1 | -1): Draft {
  const { history } = draft;
  const at = (draft.shown ?? history.length) + by;
  if (at < 0 || at > history.length || (by > 0 && draft.shown === undefined)) return draft;
  const kept = draft.shown === undefined ? draft.text : draft.kept ?? "";
  if (at === history.length) return { text: kept, cursor: kept.length, history };
  return { text: history[at]!, cursor: history[at]!.length, history, shown: at, kept };
}

interface Row {
  readonly from: number;
  readonly to: number;
}

/** Rows of at most `width` columns, by index into the text: of a long text those around the cursor, for this is done with each key. */
function toRows({ text, cursor }: Draft, width: number): Row[] {
  const reach = LIMITS.tuiDraftCharsMax / 2;
  const first = cursor <= reach ? 0 : Math.max(lineStart(text, cursor - reach), cursor - 2 * reach);
  const rows: Row[] = [];
  let from = first;
  for (const line of text.slice(first, cursor + reach).split("\n")) {
    let start = from;
    let at = from;
    let used = 0;
    for (const grapheme of toGraphemes(line)) {
      const columns = widthOf(shown(grapheme));
      if (used + columns > width && at > start) {
        rows.push({ from: start, to: at });
        start = at;
        used = 0;
      }
      used += columns;
      at += grapheme.length;
    }
    rows.push({ from: start, to: at });
    from = at + 1;
  }
  return rows;
}

function rowOf(rows: readonly Row[], cursor: number): number {
  const at = rows.findLastIndex((row) => row.from <= cursor);
  return Math.max(0, at);
}

function shown(text: string): string {
  return toPrintable(text.replaceAll("\t", "  "));
}

/** How a draft looks in `width` columns and at most `rowsMax` rows: those around the cursor. Pure. */
export function layoutDraft(draft: Draft, width: number, rowsMax: number): DraftLayout {
  const columns = Math.max(1, width);
  const rows = toRows(draft, columns);
  const y = rowOf(rows, draft.cursor);
  const x = widthOf(shown(draft.text.slice(rows[y]!.from, draft.cursor)));
  const first = Math.min(Math.max(0, rows.length - rowsMax), Math.max(0, y - rowsMax + 1));
  const lines = rows.slice(first, first + rowsMax).map(({ from, to }) => shown(draft.text.slice(from, to)));
  return { lines, x, y: y - first };
}
