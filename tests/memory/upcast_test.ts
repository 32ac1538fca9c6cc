import assert from "node:assert/strict";
import { EVENT_PAYLOADS } from "#/memory/event_payload.ts";
import { knownKinds, upcast, UPCASTS, type Upcasts } from "#/memory/upcast.ts";

const GROWN: Upcasts = {
  ...UPCASTS,
  parked: [
    (old) => ({ ...old as object, second: true }),
    (old) => ({ ...old as object, third: Object.keys(old as object).length }),
  ],
};

Deno.test("upcast() leads an old payload step by step to the last version", () => {
  assert.deepEqual(upcast("parked", 1, { first: 1 }, GROWN), { first: 1, second: true, third: 2 });
  assert.deepEqual(upcast("parked", 2, { first: 1 }, GROWN), { first: 1, third: 1 });
  assert.deepEqual(upcast("parked", 3, { first: 1 }, GROWN), { first: 1 });
  assert.deepEqual(upcast("budget", 1, { a: 1 }), { a: 1 });
});

Deno.test("upcast() throws for a version that is not known", () => {
  for (const v of [0, -1, 4, 1.5, NaN]) assert.throws(() => upcast("parked", v, {}, GROWN), RangeError);
  assert.throws(() => upcast("budget", 2, {}), RangeError);
});

Deno.test("knownKinds() names every version of every kind, or of some", () => {
  assert.deepEqual(knownKinds(["parked"], GROWN), ["parked:1", "parked:2", "parked:3"]);
  assert.deepEqual(knownKinds(["turn_done", "budget"]), ["budget:1", "turn_done:1"]);
  assert.deepEqual(knownKinds([]), []);
  assert.deepEqual(knownKinds(), Object.keys(EVENT_PAYLOADS).map((type) => `${type}:1`));
});
