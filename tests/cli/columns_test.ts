import assert from "node:assert/strict";
import { TIED, toRow, toTable } from "#/cli/columns.ts";

Deno.test("toRow() puts text beside its label and goes on below it, in 80 columns, and cuts no word", () => {
  const rows = toRow("  label", 10, `${"word ".repeat(30)}${"x".repeat(90)} end`);
  assert.ok(rows[0]!.startsWith("  label   word word"));
  assert.ok(rows.slice(1).every((row) => row.startsWith(" ".repeat(10)) && row[10] !== " "));
  assert.deepEqual(rows.filter((row) => row.length > 80), [" ".repeat(10) + "x".repeat(90)]);
  assert.equal(rows.join(" ").replace(/\s+/g, " ").trim(), `label ${"word ".repeat(30)}${"x".repeat(90)} end`);
});

Deno.test("toRow() ends no line at a tied space, gives a long label its room, and goes on at the indent that is asked for", () => {
  const [first, second] = toRow("label", 3, `${"a".repeat(71)} b${TIED}c`, 5);
  assert.deepEqual([first, second], [`label ${"a".repeat(71)}`, `     b${TIED}c`]);
  assert.deepEqual(toRow("label", 10, ""), ["label"]);
  assert.equal(toRow("", 0, "a".repeat(40) + " " + "b".repeat(39)).length, 1, "80 fit");
  assert.equal(toRow("", 0, "a".repeat(40) + " " + "b".repeat(40)).length, 2);
});

Deno.test("toTable() makes each column as wide as its widest cell, and ends no line with blanks", () => {
  const rows = [["id", "n", "note"], ["a-long-one", "7", ""], ["b", "1,000", "x"]];
  assert.deepEqual(toTable(rows, [1]), ["id              n  note", "a-long-one      7", "b           1,000  x"]);
  assert.deepEqual(toTable([], []), []);
});
