import { Blocks } from "./blocks.ts";

/** A table that is being read: rows of cells, each with blocks of its own. */
export class Table {
  readonly #rows: Blocks[][] = [];

  /** Begins a row. */
  row(): void {
    if (this.#rows.at(-1)?.length !== 0) this.#rows.push([]);
  }

  /** Begins a cell; what follows goes into it. */
  cell(): Blocks {
    if (this.#rows.length === 0) this.#rows.push([]);
    const cell = new Blocks();
    this.#rows.at(-1)!.push(cell);
    return cell;
  }

  /**
   * A table of Markdown when this one holds rows and columns of short text. A table that only lays a page out (one row, one column,
   * cells with more than a line) gives its blocks in reading order instead.
   */
  toBlocks(): readonly string[] {
    const rows = this.#rows.map((row) => row.map((cell) => cell.texts)).filter((
      row,
    ) => row.some((cell) => cell.length > 0));
    const columns = Math.max(
      0,
      ...rows.slice(0, ROWS_LOOKED_AT).map((row) => row.length),
    );
    const isData = rows.length > 1 && columns > 1 && rows.every((row) => row.every((cell) => cell.every(isShort)));
    if (!isData) return rows.flat(2);
    const lines = rows.map((row) => `| ${row.map(toCell).join(" | ")} |`);
    // The first row says how many columns a reader of Markdown sees.
    lines[0] = lines[0]! + " |".repeat(columns - rows[0]!.length);
    lines.splice(1, 0, `|${" --- |".repeat(columns)}`);
    return [lines.join("\n")];
  }
}

/** What is longer is no cell; code and another table have lines of their own. */
const CELL_CHARS_MAX = 1_000;

function isShort(block: string): boolean {
  return block.length <= CELL_CHARS_MAX && !/^(?:\| |```)/.test(block);
}

/** Rows that say how wide a table is. */
const ROWS_LOOKED_AT = 100;

function toCell(blocks: readonly string[]): string {
  return blocks.join(" ").replaceAll("\n", " ").replaceAll("|", "\\|");
}
