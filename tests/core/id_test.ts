import assert from "node:assert/strict";
import { USER_ID, uuidv7 } from "#/core/id.ts";

Deno.test("uuidv7() has the RFC's layout: time first, version 7, variant 10", () => {
  const id = uuidv7(0x0190_1234_5678, (bytes) => void bytes.fill(0xff));
  assert.equal(id, "01901234-5678-7fff-bfff-ffffffffffff");
});

Deno.test("uuidv7() sorts by time", () => {
  const times = [0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 1_800_000_000_000];
  const ids = times.map((now) => uuidv7(now));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(Array.from({ length: 1000 }, () => uuidv7(1))).size, 1000);
});

Deno.test("USER_ID refuses what is not a folder name", () => {
  for (const good of ["default", "a", "0x", "alice-2_b", "a".repeat(32)]) assert.ok(USER_ID.test(good), good);
  for (const bad of ["", "A", "-a", "_a", "a/b", "..", "a b", "a".repeat(33), "a\n", "ä"]) {
    assert.ok(!USER_ID.test(bad), JSON.stringify(bad));
  }
});
