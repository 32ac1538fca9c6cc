import assert from "node:assert/strict";
import { canonicalJson } from "#/lib/canonical_json.ts";

Deno.test("canonicalJson() writes one text for one value", () => {
  const cases: readonly [unknown, string][] = [
    [{ b: 1, a: { d: [1, null, "x"], c: true } }, '{"a":{"c":true,"d":[1,null,"x"]},"b":1}'],
    [{ a: 1, b: undefined }, '{"a":1}'],
    ["é\n\u2028", '"é\\n\u2028"'],
    [-0, "0"],
    [1e21, "1e+21"],
    [[], "[]"],
    [null, "null"],
    [JSON.parse('{"__proto__":1,"a":2}'), '{"__proto__":1,"a":2}'],
  ];
  for (const [value, text] of cases) assert.equal(canonicalJson(value), text);
  assert.equal(canonicalJson({ x: 1, y: 2 }), canonicalJson({ y: 2, x: 1 }));
});

Deno.test("canonicalJson() refuses what JSON cannot say", () => {
  for (const value of [undefined, NaN, Infinity, () => 1, 1n]) assert.throws(() => canonicalJson(value), TypeError);
});
