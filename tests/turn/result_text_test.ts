import assert from "node:assert/strict";
import { toResultText } from "#/turn/result_text.ts";

const bytes = (text: string) => new TextEncoder().encode(text).length;

Deno.test("toResultText() leaves alone what fits, to the byte", () => {
  for (const text of ["", "abc", "é".repeat(50)]) {
    assert.deepEqual(toResultText(text, bytes(text), 100), { text, truncated: false, full: undefined });
  }
  assert.ok(toResultText("é".repeat(50) + "x", 101, 100).truncated);
});

Deno.test("toResultText() cuts between characters, whatever their length", () => {
  for (const character of ["a", "é", "漢", "🦕"]) {
    for (let max = 60; max < 70; max++) {
      const cut = toResultText(character.repeat(200), 0, max);
      const mark = `\n[output truncated — original size: ${bytes(character) * 200} bytes]`;
      assert.ok(cut.text.endsWith(mark));
      assert.ok(bytes(cut.text) <= max);
      assert.ok(!cut.text.includes("\ufffd"));
      assert.ok(bytes(cut.text) > max - bytes(character), "no more is cut than needed");
      assert.equal(cut.full!.length, bytes(character) * 200);
    }
  }
});

Deno.test("toResultText() tells the size before anyone else cut", () => {
  const cut = toResultText("abc", 5_000_000, 100);
  assert.equal(cut.text, "abc\n[output truncated — original size: 5000000 bytes]");
});
