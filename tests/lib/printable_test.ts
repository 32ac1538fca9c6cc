import assert from "node:assert/strict";
import { toOneLine, toPrintable, toPrintableJson } from "#/lib/printable.ts";

Deno.test("toPrintable() keeps text, tab and newline and disarms the rest", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["plain ünïcödé 🌊\n\tindent", "plain ünïcödé 🌊\n\tindent"],
    ["\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"],
    ["\x1b]52;c;ZXZpbA==\x1b\\", "\\x1b]52;c;ZXZpbA==\\x1b\\"],
    ["progress\rdone", "progress\\x0ddone"],
    ["\x9b31m", "\\x9b31m"],
    ["safe\u202egpj.exe", "safe\\u202egpj.exe"],
    ["a\u2066b\u2069\u200f", "a\\u2066b\\u2069\\u200f"],
    ["", ""],
  ];
  for (const [input, expected] of cases) assert.equal(toPrintable(input), expected);
});

Deno.test("toOneLine() flattens and cuts", () => {
  assert.equal(toOneLine("  a\n b\t\tc ", 10), "a b c");
  assert.equal(toOneLine("abcdefgh", 5), "abcd…");
  assert.equal(toOneLine("\x1b[1m", 10), "\\x1b[1m");
});

Deno.test("toPrintableJson() means the same as JSON and holds nothing that a terminal obeys", () => {
  const value = { ["k\u009b"]: "a\x7fb\u0085c\u202ed\u061ce\x1bf\n", list: [1, null, "ü"] };
  for (const indent of [undefined, 2]) {
    const text = toPrintableJson(value, indent);
    assert.deepEqual(JSON.parse(text), value);
    // deno-lint-ignore no-control-regex -- what must not be there
    assert.doesNotMatch(text, /[\x1b\x7f-\x9f\u202e\u061c]/);
    assert.equal(text.includes("\n"), indent !== undefined);
  }
});
