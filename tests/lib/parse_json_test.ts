import assert from "node:assert/strict";
import { parseJson } from "#/lib/parse_json.ts";

Deno.test("parseJson() gives the value, and undefined for what is none", () => {
  assert.deepEqual(parseJson('{"a":[1,null]}'), { a: [1, null] });
  assert.equal(parseJson("null"), null);
  for (const text of ["", "{", "undefined", "{'a':1}"]) assert.equal(parseJson(text), undefined, text);
});
