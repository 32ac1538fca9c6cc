import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toSessionRow, toStoredEvent, toUsageRow } from "#/memory/event_row.ts";

const ROW = {
  session: "s",
  seq: 3,
  turn: "t",
  type: "parked",
  v: 1,
  at: 1_000,
  blobs: 0,
  payload: '{"callId":"c","reason":"r"}',
  refs: null,
};
const REF = { sha256: "ab".repeat(32), bytes: 3, mimeType: "x/y" };
const SESSION = {
  id: "s",
  user: "u",
  agent: "a",
  display_name: null,
  channel: "c",
  parent: null,
  created_at: 1,
  last_active_at: 2,
  archived: 1,
};

Deno.test("toStoredEvent() reads a row with and without blobs", () => {
  const event = { session: "s", seq: 3, turn: "t", type: "parked", v: 1, at: 1_000 };
  const payload = { callId: "c", reason: "r" };
  assert.deepEqual(toStoredEvent(ROW, "a.db"), { ...event, payload, blobs: [] });
  const row = { ...ROW, blobs: 2, refs: JSON.stringify([REF, REF]) };
  assert.deepEqual(toStoredEvent(row, "a.db"), { ...event, payload, blobs: [REF, REF] });
});

Deno.test("toStoredEvent() refuses a row that no version wrote, with its place", () => {
  const wrong: readonly Record<string, unknown>[] = [
    { seq: 0 },
    { seq: "3" },
    { type: "toString" },
    { type: "__proto__" },
    { type: null },
    { v: 2 },
    { v: 0 },
    { at: 1.5 },
    { turn: null },
    { payload: "{" },
    { payload: "null" },
    { payload: new Uint8Array(2) },
    { blobs: 1 },
    { blobs: 1, refs: "[]" },
    { blobs: 1, refs: "{" },
    { blobs: 1, refs: JSON.stringify([{ ...REF, sha256: "../x" }]) },
    { refs: JSON.stringify([REF]) },
  ];
  for (const change of wrong) {
    assert.throws(() => toStoredEvent({ ...ROW, ...change }, "a.db"), (error: unknown) => {
      assert.ok(error instanceof AppError && error.code === "store_corrupt", JSON.stringify(change));
      assert.equal(error.params["session"], "s");
      if (!("seq" in change)) assert.equal(error.params["seq"], 3);
      return true;
    });
  }
});

Deno.test("toSessionRow() names the columns as the seam does and refuses nonsense", () => {
  assert.deepEqual(toSessionRow(SESSION, "a.db"), {
    id: "s",
    user: "u",
    agent: "a",
    displayName: null,
    channel: "c",
    parent: null,
    createdAt: 1,
    lastActiveAt: 2,
    archived: true,
  });
  for (const change of [{ user: null }, { created_at: "1" }, { archived: null }, { last_active_at: 0.5 }]) {
    assert.throws(
      () => toSessionRow({ ...SESSION, ...change }, "a.db"),
      (error: unknown) => error instanceof AppError && error.code === "store_corrupt",
    );
  }
});

Deno.test("toUsageRow() takes counts, and nothing that a sum could not be", () => {
  const names = { session: "s", provider: "p", model: "m" };
  const counts = { calls: 1, inputTokens: 2, cachedTokens: 0, outputTokens: 3, cost: 0.5 };
  const row = { day: 20_000, ...names, ...counts, unpricedCalls: 0, estimatedCalls: 1, openCalls: 0 };
  assert.deepEqual(toUsageRow(row, "a.db"), row);
  const { cost: _, ...without } = row;
  const wrong = [
    without,
    ...[{ cost: -1 }, { cost: Infinity }, { calls: "1" }, { day: -1 }, { day: 0.5 }, { model: null }, {
      model: "m".repeat(LIMITS.logIdCharsMax + 1),
    }, { more: 1 }].map((change) => ({ ...row, ...change })),
  ];
  for (const bad of wrong) assert.throws(() => toUsageRow(bad, "a.db"), { code: "store_corrupt" });
  assert.equal(
    toUsageRow({ ...row, model: "m".repeat(LIMITS.logIdCharsMax) }, "a.db").model.length,
    LIMITS.logIdCharsMax,
  );
});
