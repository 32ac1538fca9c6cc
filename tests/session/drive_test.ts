import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { driveTurn, isStoreError, toFailed, toUnrecorded } from "#/session/drive.ts";
import { TurnLog } from "#/session/turn_log.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { collect, readAll, toSendDeps, types } from "./session_kit.ts";

const PLACE = { session: "s", turn: "t" };

Deno.test("driveTurn() yields the message first, then each event after it was recorded", async () => {
  const log = new MemoryLog();
  await log.ensureSession({ id: "s", user: "default", agent: "a", channel: "c", displayName: null, parent: null });
  const turnLog = new TurnLog(log, "s", "t");
  const recorded = await turnLog.append({ type: "user_message", v: 1, payload: { text: "hi", channel: "c" } });
  const control = new AbortController();
  const run = {
    turnLog,
    recorded,
    control,
    ending: control.signal,
    suspending: control.signal,
    onParked: () => assert.fail("nothing waits"),
  };
  const options = { log, now: Date.now, report: (error: unknown) => assert.fail(String(error)) };
  const events = await collect(driveTurn(options, PLACE, toSendDeps(scriptedProvider(says("ok"))), run));
  assert.deepEqual(types(events.filter((event) => "seq" in event)), [
    "user_message",
    "model_request",
    "model_result",
    "turn_done",
  ]);
  assert.deepEqual(await readAll(log), events.filter((event) => "seq" in event));
});

Deno.test("toUnrecorded() has no place in the log; isStoreError() knows a store's trouble from any other", () => {
  const event = toFailed("store_failed", "full", 2);
  assert.deepEqual(toUnrecorded(PLACE, event, 7), {
    seq: 0,
    ...PLACE,
    at: 7,
    blobs: [],
    type: "turn_failed",
    v: 1,
    payload: { code: "store_failed", message: "full", steps: 2 },
  });
  assert.equal(isStoreError(new AppError("store_failed", "x")), true);
  assert.equal(isStoreError(new AppError("cancelled", "x")), false);
  assert.equal(isStoreError(new TypeError("x")), false);
});
