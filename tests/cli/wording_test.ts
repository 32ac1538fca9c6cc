import assert from "node:assert/strict";
import { toCount, toMinute } from "#/cli/wording.ts";

Deno.test("toCount() says one of it, and more or none of it", () => {
  const said = [0, 1, 2].map((n) => toCount(n, "entry", "entries"));
  assert.deepEqual(said, ["0 entries", "1 entry", "2 entries"]);
});

Deno.test("toMinute() is what a clock on this wall shows", () => {
  assert.equal(toMinute(new Date(2030, 5, 1, 18, 4, 59).getTime()), "2030-06-01 18:04");
});
