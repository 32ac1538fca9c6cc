import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { SESSION_LIMITS } from "#/core/session_limits.ts";

Deno.test("SESSION_LIMITS are among LIMITS, under names that nobody else has", () => {
  for (const [name, value] of Object.entries(SESSION_LIMITS)) {
    assert.equal(LIMITS[name as keyof typeof LIMITS], value, name);
  }
  assert.ok(SESSION_LIMITS.importLineBytesMax > LIMITS.blobBytesMax * 4 / 3, "the largest blob is a line");
});
