import assert from "node:assert/strict";
import { unescapeOnce } from "#/lib/unescape.ts";
import { assertLinear } from "../fixture/linear.ts";

Deno.test("unescapeOnce() undoes one layer of percent, backslash and HTML escapes, and joins lines", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["%41%2f%2F%c3%a4%E2%82%AC%f0%9f%98%80", "A//ä€😀"],
    ["%c0%80 %ed%a0%80 %zz %4 100%", "%c0%80 %ed%a0%80 %zz %4 100%"],
    ['\\u0041\\u00e4\\x2f\\/\\\\\\"\\n\\t\\$\\ ', 'Aä//\\"\n\t$ '],
    ["\\ud83d\\ude00 \\q \\u12", "😀 \\q \\u12"],
    ["&amp;&lt;&gt;&quot;&apos;&#65;&#x41;&#X41;&#0000065;", "&<>\"'AAAA"],
    ["&#99999999; &#x110000; &bogus; &amp", "&#99999999; &#x110000; &bogus; &amp"],
    ["a\n  b\r\n\n\tc", "abc"],
    ["%2541 \\\\u0041 &amp;amp;", "%41 \\u0041 &amp;"],
    ["plain", "plain"],
  ];
  for (const [text, expected] of cases) assert.equal(unescapeOnce(text).text, expected);
});

Deno.test("unescapeOnce() knows where each part came from", () => {
  const text = "ab%41\n  c&amp;d";
  const layer = unescapeOnce(text);
  assert.equal(layer.text, "abAc&d");
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(layer.startOf), [0, 1, 2, 8, 9, 14]);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(layer.endOf), [1, 2, 5, 9, 14, 15]);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 14, 15].map(layer.floor), [0, 1, 2, 2, 2, 5, 5, 8, 9, 9, 14, 15]);
  assert.deepEqual([0, 2, 5, 8, 9, 14, 15].map(layer.indexOf), [0, 2, 3, 3, 4, 5, 6]);
});

Deno.test("unescapeOnce() says from where on more text could change it", () => {
  const cases: readonly (readonly [string, number, string])[] = [
    ["abc", 3, "abc"],
    ["ab%", 2, "ab"],
    ["ab%4", 2, "ab"],
    ["%41%e2%82", 3, "A"],
    ["ab\\u00", 2, "ab"],
    ["ab&#x4", 2, "ab"],
    ["ab\r", 2, "ab"],
    ["ab\n  ", 2, "ab"],
    ["a%41\n b", 7, "aAb"],
    ["a%41", 4, "aA"],
  ];
  for (const [text, openAt, stable] of cases) {
    const layer = unescapeOnce(text);
    assert.deepEqual([layer.openAt, layer.stable], [openAt, stable], text);
  }
});

Deno.test("unescapeOnce() is linear in a hostile text", () => {
  for (
    const piece of ["%", "%4", "\\", "\\u", "&", "&#", "&#1", "\n", "\r", " ", "\n \n\t", "%e2%82", "&amp", "\\\\"]
  ) {
    assertLinear(piece, unescapeOnce);
  }
});
