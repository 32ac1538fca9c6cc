import assert from "node:assert/strict";
import { type Spelling, toPlainSpellings, toSpellings } from "#/lib/spelling.ts";

const has = (text: string, units: Spelling): boolean =>
  [...text].some((_, at) => units.every((unit, index) => at + index < text.length && unit.includes(text[at + index]!)));

Deno.test("toPlainSpellings() writes a space also as +, and a value once more without what looks like an escape in it", () => {
  assert.deepEqual(toPlainSpellings("a b"), [["a", " +", "b"]]);
  assert.deepEqual(toPlainSpellings("12345678\r\n  9").map((units) => units.join("")), [
    "12345678\r\n + +9",
    "123456789",
  ]);
  const forms = toPlainSpellings("%2541\\\\n345678").map((units) => units.join(""));
  assert.deepEqual(forms, ["%2541\\\\n345678", "%41\\n345678", "A\n345678"]);
  assert.equal(toPlainSpellings("%41%41%41").length, 1);
});

Deno.test("toSpellings() knows the value inside base64 at every alignment, in both alphabets, and inside hex of either case", () => {
  const value = 'k>?~ÿ"s3cret';
  const spellings = toSpellings(value);
  const encoder = new TextEncoder();
  for (const around of [["", ""], ["a", "b"], ["ab", "cd"], ["abc", ""], ["xyz1", "12"], ["ÿÿ", "ÿ"]]) {
    const bytes = encoder.encode(around.join(value));
    const base64 = btoa(String.fromCharCode(...bytes));
    const hex = bytes.toHex();
    const forms = [base64, base64.replace(/=+$/, ""), base64.replaceAll("+", "-").replaceAll("/", "_"), hex];
    for (const form of [...forms, hex.toUpperCase(), hex.replaceAll(/b./g, (pair) => pair.toUpperCase())]) {
      assert.ok(spellings.some((units) => has(form, units)), form);
    }
  }
  assert.ok(!spellings.some((units) => has(btoa('k>?~y"s3cret, almost the same'), units)));
});

Deno.test("toSpellings() knows documents that were encoded as a whole, and survives half a surrogate pair", () => {
  const value = 'pa"ss/wörd';
  const spellings = toSpellings(value);
  for (const text of [JSON.stringify({ value }), `x=${encodeURIComponent(value)}`]) {
    const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    assert.ok(spellings.some((units) => has(base64, units)), text);
  }
  assert.ok(toSpellings("\ud800 lonely").length > 0);
});
