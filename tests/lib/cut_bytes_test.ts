import assert from "node:assert/strict";
import { cutBytes } from "#/lib/cut_bytes.ts";

Deno.test("cutBytes() cuts between characters and leaves alone what fits", () => {
  assert.equal(cutBytes("äöü", 6), "äöü");
  assert.equal(cutBytes("äöü", 5), "äö");
  assert.equal(cutBytes("a😀b", 4), "a");
  assert.equal(cutBytes("a😀b", 5), "a😀");
  assert.equal(cutBytes("abc", 0), "");
});
