import type { Row } from "./row.ts";

/** The rows as text: one line each, columns aligned. */
export function toTable(rows: readonly Row[]): string {
  const head = ["what", "measured", "bound", "", "made of"];
  const lines = rows.map((row) => [row.name, toValue(row.value, row), toTarget(row), toVerdict(row), row.note]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const toLine = (cells: readonly string[]) =>
    cells.map((cell, column) =>
      column === 1 || column === 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
    )
      .join("  ").trimEnd();
  return [toLine(head), toLine(widths.map((width) => "─".repeat(width))), ...lines.map(toLine)].join("\n");
}

function toTarget(row: Row): string {
  if (row.floor !== undefined) return `≥ ${toValue(row.floor, row)}`;
  return row.target === undefined ? "—" : `≤ ${toValue(row.target, row)}`;
}

function toVerdict({ value, target, floor }: Row): string {
  if (floor !== undefined) return value >= floor ? "ok" : "UNDER";
  if (target === undefined) return "";
  return value <= target ? "ok" : "OVER";
}

function toValue(value: number, { unit }: Row): string {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
}
