import assert from "node:assert/strict";
import { concatBytes } from "#/lib/bytes.ts";

Deno.test("concatBytes() keeps order and copies", () => {
  const first = new Uint8Array([1, 2]);
  const joined = concatBytes([first, new Uint8Array(0), new Uint8Array([3])]);
  first[0] = 9;
  assert.deepEqual([...joined], [1, 2, 3]);
  assert.deepEqual([...concatBytes([])], []);
});
