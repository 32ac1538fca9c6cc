import assert from "node:assert/strict";
import type { EventType, NewEvent } from "#/core/event.ts";
import { planAppend } from "#/memory/append_plan.ts";
import * as SQL from "#/memory/event_sql.ts";
import { blobOf, messageOf, SAMPLES } from "../contract/event_samples.ts";

const PLACE = { session: "s", turn: "t", at: 5 };

Deno.test("planAppend() takes numbers first, then writes each event with its blobs", async () => {
  const blob = await blobOf(new Uint8Array([1]));
  const plan = planAppend(PLACE, [{ ...messageOf("a"), blobs: [blob] }, SAMPLES.parked], "a.db");
  assert.deepEqual(plan.statements, [
    { sql: SQL.TAKE_SEQS, values: ["s", 2, 5] },
    { sql: SQL.UPSERT_TURN, values: ["s", "t", 2, "parked"] },
    { sql: SQL.INSERT_EVENT, values: ["s", 1, "t", "user_message", 1, 5, 1, '{"text":"a","channel":"test"}'] },
    { sql: SQL.INSERT_BLOB, values: [blob.sha256, 1, blob.content] },
    { sql: SQL.INSERT_EVENT_BLOB, values: ["s", 1, 0, blob.sha256, "text/plain"] },
    { sql: SQL.INSERT_EVENT, values: ["s", 0, "t", "parked", 1, 5, 0, JSON.stringify(SAMPLES.parked.payload)] },
  ]);
  const { content: _, ...ref } = blob;
  assert.deepEqual(plan.events.map((event) => event.blobs), [[ref], []]);
  assert.deepEqual(plan.events[0]!.payload, { text: "a", channel: "test" });
});

Deno.test("planAppend() knows in which state a batch leaves its turn", () => {
  const cases: readonly (readonly [readonly EventType[], string])[] = [
    [["user_message"], "open"],
    [["user_message", "turn_done"], "ended"],
    [["turn_failed", "budget"], "ended"],
    [["turn_cancelled"], "ended"],
    [["approval_asked", "parked"], "parked"],
    [["parked", "approval_answered"], "open"],
    [["parked", "turn_cancelled"], "ended"],
  ];
  for (const [types, state] of cases) {
    const events: readonly NewEvent[] = types.map((type) => SAMPLES[type]);
    assert.equal(planAppend(PLACE, events, "a.db").statements[1]!.values!.at(-1), state, types.join());
  }
});
