import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";

Deno.test("LIMITS fit into one another", () => {
  assert.ok(LIMITS.argsBytesMax * 2 <= LIMITS.frameBytesMax, "the arguments of a call fit into a frame, escaped");
  assert.ok(LIMITS.chunkBytesMax <= LIMITS.frameBytesMax);
  assert.ok(LIMITS.toolResultBytesMax <= LIMITS.toolOutputBytesMax);
  assert.ok(LIMITS.clientQueueBytesMax < LIMITS.clientQueueHardBytesMax);
  assert.ok(LIMITS.scanBatchBytesMax <= LIMITS.searchBytesMax);
});

Deno.test("every limit is a positive integer with its unit last", () => {
  for (const [name, value] of Object.entries(LIMITS)) {
    assert.ok(Number.isInteger(value) && value > 0, name);
    assert.match(name, /(Max|Ms|Secs|Credit|Default|FloorBytes)$/, name);
  }
});
