import assert from "node:assert/strict";
import { isDurable, isStored, isTurnEnd, type NewEvent } from "#/core/event.ts";

Deno.test("isDurable() and isStored() pass every kind but the live ones", () => {
  const durable: NewEvent = { type: "turn_cancelled", v: 1, payload: { reason: "asked", steps: 1 } };
  assert.ok(isDurable(durable));
  assert.ok(isStored({ ...durable, seq: 1, session: "s", turn: "t", at: 0, blobs: [] }));
  for (const type of ["text_delta", "reasoning_delta"] as const) {
    assert.ok(!isDurable({ type, payload: { text: "x" } }));
    assert.ok(!isStored({ type, payload: { text: "x" } }));
  }
});

Deno.test("isTurnEnd() names the three ends", () => {
  const ends = ["turn_done", "turn_failed", "turn_cancelled"];
  for (const type of [...ends, "user_message", "budget", "tool_result"]) {
    assert.equal(isTurnEnd({ type }), ends.includes(type));
  }
});
