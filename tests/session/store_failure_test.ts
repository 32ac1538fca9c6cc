import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { isStored, isTurnEnd, type SessionEvent } from "#/core/event.ts";
import { toHistory } from "#/turn/history.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory } from "../turn/turn_kit.ts";
import { collect, never, open, readAll, toMessage, toSendDeps } from "./session_kit.ts";

const SCRIPT = [calls(["file_write", { n: 1 }, "w1"], ["file_read", {}, "r1"]), says("Done")];
const toSandbox = () => new RecordingSandbox({ file_read: () => "r", file_write: () => "w" });

function full(): never {
  throw new AppError("store_failed", "the disk is full");
}

Deno.test("Sessions.send() stops at any append that fails, says so, and runs nothing that was not recorded", async () => {
  const counting = new MemoryLog();
  await collect(
    (await open(counting)).sessions.send(toMessage("t"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never),
  );
  const total = counting.appends.length;
  for (let at = 0; at < total; at++) {
    const log = new MemoryLog();
    let appends = 0;
    log.beforeAppend = () => void (appends++ >= at && full());
    const { sessions, reports } = await open(log);
    const sandbox = toSandbox();
    const events = await collect(
      sessions.send(toMessage("t"), toSendDeps(scriptedProvider(...SCRIPT), sandbox), never),
    );
    const end = events.at(-1)!;
    assert.ok(end.type === "turn_failed" && end.payload.code === "store_failed" && end.seq === 0, `failing at ${at}`);
    assert.deepEqual(await readAll(log), events.slice(0, -1).filter(isStored), "what was shown is what is there");
    const intents = events.filter((event) => event.type === "tool_intent").map((event) => event.payload.callId);
    for (const { callId } of sandbox.requests) assert.ok(intents.includes(callId), "no call without a recorded intent");
    assert.deepEqual(reports, []);

    // The store works again: the same turn id goes on to its end, and so does the session.
    log.beforeAppend = () => {};
    const again = await collect(
      sessions.send(toMessage("t"), toSendDeps(scriptedProvider(says("x")), toSandbox()), never),
    );
    assert.equal(again.at(-1)!.type, "turn_done");
    assert.ok((again.at(-1) as { seq: number }).seq > 0);
    assert.deepEqual(await log.openTurns(), []);
    const next = await collect(sessions.send(toMessage("t2"), toSendDeps(scriptedProvider(says("x"))), never));
    assert.equal(next.at(-1)!.type, "turn_done");
    assertValidHistory(toHistory(await readAll(log)).map((entry) => entry.message));
  }
});

Deno.test("Sessions.send() records the failure when the store lost one event only", async () => {
  const log = new MemoryLog();
  let hasFailed = false;
  log.beforeAppend = ([event]) => {
    if (event!.type !== "tool_result" || hasFailed) return;
    hasFailed = true;
    full();
  };
  const { sessions } = await open(log);
  const events = await collect(
    sessions.send(toMessage("t"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never),
  );
  const end = events.at(-1)!;
  assert.ok(end.type === "turn_failed" && end.payload.code === "store_failed" && end.seq > 0);
  assert.deepEqual((await readAll(log)).at(-1), end);
  assert.deepEqual(
    toHistory(await readAll(log)).filter((entry) => entry.message.role === "tool").map((entry) =>
      entry.message.content
    ),
    [
      "interrupted; its outcome is unknown: check before you do it again",
      "not run: the turn ended before this call started",
    ],
  );
});

Deno.test("Sessions.send() stops what runs before it tells that the store failed", async () => {
  const log = new MemoryLog();
  log.beforeAppend = ([event]) => void (event!.type === "tool_result" && full());
  const { sessions } = await open(log);
  const sandbox = new RecordingSandbox({ file_read: ({ callId }) => callId === "a" ? "A" : new Promise(() => {}) });
  const provider = scriptedProvider(calls(["file_read", { n: 1 }, "a"], ["file_read", { n: 2 }, "b"]));
  for await (const event of sessions.send(toMessage("t"), toSendDeps(provider, sandbox), never)) {
    if (event.type === "turn_failed") assert.deepEqual(sandbox.journal, ["start:a", "start:b", "end:a", "end:b"]);
  }
});

Deno.test("Sessions.send() left while the store fails frees its lane", async () => {
  const log = new MemoryLog();
  const { sessions, reports } = await open(log, { runningMax: 1, queuedMax: 0 });
  const seen: SessionEvent[] = [];
  for await (
    const event of sessions.send(toMessage("t"), toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never)
  ) {
    seen.push(event);
    if (event.type !== "tool_intent") continue;
    log.beforeAppend = full;
    break;
  }
  log.beforeAppend = () => {};
  assert.deepEqual(reports, []);
  const next = await collect(sessions.send(toMessage("t2"), toSendDeps(scriptedProvider(says("x"))), never));
  assert.ok(isTurnEnd(next.at(-1)!));
});
