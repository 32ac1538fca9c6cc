/** What a terminal that nobody widened has. */
const COLUMNS = 80;

/** Stands for a space where no line may end; for the text of `toRow`. */
export const TIED = "\u00a0";

/** A label and text beside it; what does not fit goes on below, at `indent` or where the text began. A word is never cut. Pure. */
export function toRow(label: string, at: number, text: string, indent = at): string[] {
  const lines: string[] = [];
  let line = label === "" || label.length < at ? label.padEnd(at) : `${label} `;
  let isFresh = true;
  for (const word of text.split(" ")) {
    if (!isFresh && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = " ".repeat(indent) + word;
    } else line += isFresh ? word : ` ${word}`;
    isFresh = false;
  }
  return [...lines, line].map((text) => text.trimEnd());
}

/** Rows of equally many cells as lines, each column as wide as its widest cell; those in `right`, counted from 0, end where it ends. Pure. */
export function toTable(rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) =>
    row.map((cell, at) => right.includes(at) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!)).join("  ")
      .trimEnd()
  );
}
