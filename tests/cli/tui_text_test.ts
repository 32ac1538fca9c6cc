import assert from "node:assert/strict";
import { clip, type Line, lineWidth, span, toGraphemes, widthOf, wrapLine } from "#/cli/tui_text.ts";

const text = (lines: readonly Line[]) => lines.map((line) => line.map((each) => each.text).join(""));

Deno.test("widthOf() and toGraphemes() count what a person sees", () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ["", 0, 0],
    ["abc", 3, 3],
    ["漢字", 4, 2],
    ["e\u0301", 1, 1],
    ["👋🏽", 2, 1],
    ["👨‍👩‍👧", 2, 1],
    ["ｱ", 1, 1],
  ];
  for (const [each, width, count] of cases) {
    assert.deepEqual([widthOf(each), toGraphemes(each).length], [width, count], each);
  }
});

Deno.test("span() writes out what would steer a terminal, and is one line", () => {
  assert.equal(span("a\x1b[2J\tb\nc\r\nd\u202e").text, "a\\x1b[2J  b c d\\u202e");
  assert.deepEqual(span("a", { bold: true }), { text: "a", bold: true });
});

Deno.test("clip() keeps a text within its columns and never cuts a grapheme", () => {
  assert.equal(clip("abcdef", 6), "abcdef");
  assert.equal(clip("abcdefg", 6), "abcde…");
  assert.equal(clip("漢字漢字", 6), "漢字…");
  assert.equal(clip("abc", 0), "");
  assert.equal(clip("👨‍👩‍👧👨‍👩‍👧", 3), "👨‍👩‍👧…");
});

Deno.test("wrapLine() breaks at blanks, inside long words, and indents what follows", () => {
  assert.deepEqual(text(wrapLine([span("one two three")], 7)), ["one two", "three"]);
  assert.deepEqual(text(wrapLine([span("abcdefghij")], 4)), ["abcd", "efgh", "ij"]);
  assert.deepEqual(text(wrapLine([span("- "), span("one two three")], 8, [span("  ")])), ["- one", "  two", "  three"]);
  assert.deepEqual(text(wrapLine([span("漢字漢字")], 5)), ["漢字", "漢字"]);
  assert.deepEqual(text(wrapLine([span("ab", { bold: true }), span("cd ef")], 4)), ["abcd", "ef"]);
  assert.deepEqual(wrapLine([], 4), [[]]);
});

Deno.test("wrapLine() loses nothing and fits, whatever the width and the indent", () => {
  const words = "a bb 漢字漢字漢字 cccccccccccccccccccccc e\u0301e\u0301e\u0301 👨‍👩‍👧👨‍👩‍👧 dd  ee";
  for (let width = 2; width < 40; width++) {
    for (const rest of [[], [span("    ")]]) {
      const lines = wrapLine([span("› "), span(words)], width, rest);
      assert.ok(lines.every((line) => lineWidth(line) <= Math.max(width, 2)), `${width}: ${text(lines).join("|")}`);
      assert.equal(text(lines).join("").replaceAll(" ", ""), `› ${words}`.replaceAll(" ", ""), String(width));
    }
  }
});
