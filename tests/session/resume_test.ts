import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { isStored, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { openSessions } from "#/session/session.ts";
import { toHistory } from "#/turn/history.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory } from "../turn/turn_kit.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps, types } from "./session_kit.ts";

const SCRIPT = [calls(["file_write", { n: 1 }, "w"], ["file_read", {}, "r"]), says("Done")];
const toSandbox = () => new RecordingSandbox({ file_read: () => "r", file_write: () => "w" });
const USER = { type: "user_message", v: 1, payload: { text: "text of t1", channel: "test" } } as const;
const PLACE = { session: "s", turn: "t1" };

async function begin(log: EventLog): Promise<void> {
  await log.ensureSession({ id: "s", user: "default", agent: "a", channel: "x", displayName: null, parent: null });
  await log.append("s", "t1", [USER], { durability: "normal" });
}

/** A process that dies when the log has so many events: nothing that comes later is recorded, and nobody hears of it. */
async function runUntil(log: MemoryLog, most: number, sandbox = toSandbox()): Promise<void> {
  let left = most;
  log.beforeAppend = () => {
    if (left-- <= 0) throw new AppError("store_failed", "the process is dead");
  };
  const { sessions } = await open(log);
  await collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(...SCRIPT), sandbox), never));
  log.beforeAppend = () => {};
}

for (const [name, use] of LOGS) {
  Deno.test(`Sessions.resume() runs a turn of which only the message was recorded (${name})`, () =>
    use(async (log) => {
      await begin(log);
      const { sessions } = await open(log);
      assert.deepEqual(sessions.open, [PLACE]);
      const events = await collect(
        sessions.resume(PLACE, undefined, toSendDeps(scriptedProvider(...SCRIPT), toSandbox()), never),
      );
      const stored = events.filter(isStored);
      assert.deepEqual(types(stored).slice(0, 2), ["resumed", "model_request"]);
      assert.deepEqual(stored[0]!.payload, { attempt: 1 });
      assert.equal(stored.at(-1)!.type, "turn_done");
      assert.deepEqual([sessions.open, await log.openTurns()], [[], []]);
      assert.deepEqual((await readAll(log)).map(({ seq }) => seq), (await readAll(log)).map((_, at) => at + 1));
      assert.deepEqual(await collect(sessions.resume(PLACE, undefined, toSendDeps(scriptedProvider()), never)), []);
    }));
}

Deno.test("Sessions.resume() behind every event of a turn ends it, with one intent and one result for each call", async () => {
  const whole = new MemoryLog();
  await runUntil(whole, 100);
  const total = (await readAll(whole)).length;
  for (let at = 1; at < total; at++) {
    const log = new MemoryLog();
    const first = toSandbox();
    await runUntil(log, at, first);
    const { sessions } = await open(log);
    const second = toSandbox();
    const replies = (await readAll(log)).filter((event) => event.type === "model_result").length;
    const deps = toSendDeps(scriptedProvider(...SCRIPT.slice(replies)), second);
    await collect(sessions.resume(PLACE, undefined, deps, never));
    const events = await readAll(log);
    assert.equal(events.at(-1)!.type, "turn_done", `behind ${at}`);
    for (const type of ["tool_intent", "tool_decision", "tool_result"] as const) {
      const ids = events.flatMap((event) => event.type === type ? [(event.payload as { callId: string }).callId] : []);
      assert.deepEqual(ids.toSorted(), ["r", "w"], `${type} behind ${at}`);
    }
    for (const request of second.requests) {
      const wasIntended = first.requests.some(({ callId }) => callId === request.callId);
      if (wasIntended) assert.equal(request.resumed, true, `${request.callId} behind ${at}`);
    }
    const results = second.requests.map(({ callId }) => callId);
    assert.equal(new Set(results).size, results.length);
    assertValidHistory(toHistory(events).map((entry) => entry.message));
  }
});

Deno.test("Sessions.send() of the very turn that was interrupted goes on with it; another message waits for it", async () => {
  const log = new MemoryLog();
  await begin(log);
  const { sessions } = await open(log);
  const provider = scriptedProvider(says("one"), says("two"));
  const deps = toSendDeps(provider);
  const later = collect(sessions.send(toMessage("t2"), deps, never));
  const same = await collect(sessions.send(toMessage("t1"), deps, never));
  assert.deepEqual(types(same.filter(isStored)), [
    "user_message",
    "resumed",
    "model_request",
    "model_result",
    "turn_done",
  ]);
  // Whoever opened the sessions comes too late, and nothing runs twice.
  assert.deepEqual(await collect(sessions.resume(PLACE, undefined, deps, never)), []);
  assert.equal((await later).at(-1)!.type, "turn_done");
  assert.deepEqual([...new Set((await readAll(log)).map(({ turn }) => turn))], ["t1", "t2"]);
});

Deno.test("openSessions() closes an open turn that newer ones have followed", async () => {
  const log = new MemoryLog();
  await begin(log);
  await log.append("s", "t2", [USER], { durability: "normal" });
  const { sessions } = await open(log);
  assert.deepEqual(sessions.open, [{ session: "s", turn: "t2" }]);
  const [, end] = await log.turn("s", "t1");
  assert.ok(end?.type === "turn_failed" && end.payload.code === "turn_interrupted");
});

Deno.test("Sessions.resume() gives a turn up that was resumed resumesMax times for nothing, and not one that moves on", async () => {
  const log = new MemoryLog();
  await begin(log);
  const resumed = (attempt: number) => ({ type: "resumed", v: 1, payload: { attempt } }) as const;
  for (let n = 1; n <= LIMITS.resumesMax; n++) {
    await log.append("s", "t1", [resumed(n)], { durability: "normal" });
  }
  const provider = scriptedProvider(says("never"));
  const { sessions } = await open(log);
  const [end] = await collect(sessions.resume(PLACE, undefined, toSendDeps(provider), never)) as StoredEvent[];
  assert.ok(end?.type === "turn_failed" && end.payload.code === "turn_interrupted");
  assert.match(end.payload.message, /interrupted 5 times at the same place/);
  assert.equal(provider.requests.length, 0);

  const moving = new MemoryLog();
  await begin(moving);
  const payload = { step: 1, text: "", toolCalls: [], finishReason: "stop", usage: {} };
  for (let n = 1; n <= LIMITS.resumesMax * 2; n++) {
    const reply = n === LIMITS.resumesMax ? [{ type: "model_result", v: 1, payload } as const] : [];
    await moving.append("s", "t1", [resumed(n), ...reply], { durability: "normal" });
  }
  const last = await open(moving);
  const events = await collect(last.sessions.resume(PLACE, undefined, toSendDeps(scriptedProvider(says("x"))), never));
  assert.equal(events.at(-1)!.type, "turn_failed", "4 times since the reply");
  assert.ok(events.length === 1);
});

/** A provider whose first reply is open until `answer`, and a sandbox whose write is. */
function makeSlow() {
  const reply = Promise.withResolvers<ModelEvent>();
  const write = Promise.withResolvers<string>();
  const sandbox = new RecordingSandbox({ file_read: () => "r", file_write: () => write.promise });
  return { reply, write, sandbox };
}

/** Reads a turn until an event of this type has come; then `rest` reads it on. */
async function readUntil(events: AsyncGenerator<SessionEvent>, type: string): Promise<{ rest: Promise<unknown> }> {
  for (;;) {
    const next = await events.next();
    if (next.done) assert.fail(`no ${type}`);
    if (next.value.type === type) return { rest: collect(events).then(() => undefined, (error) => error) };
  }
}

Deno.test("Sessions.stop() with suspend lets a running call come to its result and begins nothing behind it", async () => {
  const log = new MemoryLog();
  const { sessions } = await open(log);
  const { write, sandbox } = makeSlow();
  const provider = scriptedProvider(...SCRIPT);
  const { rest } = await readUntil(sessions.send(toMessage("t1"), toSendDeps(provider, sandbox), never), "tool_intent");
  while (sandbox.journal.length === 0) await Promise.resolve();
  const stopped = sessions.stop("suspend", "stop");
  write.resolve("written");
  await stopped;
  const error = await rest;
  assert.ok(error instanceof AppError && error.code === "turn_suspended");
  assert.deepEqual(types(await readAll(log)).slice(-3), ["tool_intent", "tool_decision", "tool_result"]);
  assert.deepEqual(sandbox.journal, ["start:w", "end:w"]);
  assert.deepEqual(await log.openTurns(), [PLACE]);
  await assert.rejects(collect(sessions.send(toMessage("t2"), toSendDeps(provider), never)), {
    code: "turn_suspended",
  });

  const next = await open(log);
  const second = toSandbox();
  await collect(next.sessions.resume(PLACE, undefined, toSendDeps(scriptedProvider(says("Done")), second), never));
  assert.deepEqual(second.requests.map(({ callId, resumed }) => [callId, resumed]), [["r", undefined]]);
  assert.equal((await readAll(log)).at(-1)!.type, "turn_done");
});

Deno.test("Sessions.stop() with suspend stops before the next model call, and a queued message is not taken", async () => {
  const log = new MemoryLog();
  const { sessions } = await open(log);
  const { reply, sandbox } = makeSlow();
  const deps = toSendDeps(scriptedProvider([reply.promise, ...SCRIPT[0]!]), sandbox);
  const { rest } = await readUntil(sessions.send(toMessage("t1"), deps, never), "progress");
  const queued = collect(sessions.send(toMessage("t2"), deps, never)).catch((error) => error);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const stopped = sessions.stop("suspend", "stop");
  reply.resolve({ type: "text", text: "I write. " });
  await stopped;
  assert.equal(((await rest) as AppError).code, "turn_suspended");
  assert.equal((await queued as AppError).code, "turn_suspended");
  assert.equal((await readAll(log)).at(-1)!.type, "model_result");
  assert.deepEqual(sandbox.requests, []);
  assert.deepEqual(await log.turn("s", "t2"), []);
});

Deno.test("Sessions: a turn whose runner is gone stays open, and nothing is said of its call", async () => {
  const log = new MemoryLog();
  const { sessions, reports } = await open(log);
  const gone = new RecordingSandbox({
    file_write: () => Promise.reject(new AppError("tool_interrupted", "no runner")),
    file_read: () => "r",
  });
  const sent = collect(sessions.send(toMessage("t1"), toSendDeps(scriptedProvider(...SCRIPT), gone), never));
  await assert.rejects(sent, { code: "turn_suspended" });
  assert.equal((await readAll(log)).at(-1)!.type, "tool_intent");
  assert.deepEqual([await log.openTurns(), reports], [[PLACE], []]);
});

Deno.test("Sessions.stop() with cancel ends a turn that a suspend would leave open", async () => {
  const log = new MemoryLog();
  const options = { log, lanes: { runningMax: 1, queuedMax: 1 }, now: Date.now, report: () => {} };
  const sessions = await openSessions(options);
  const { reply } = makeSlow();
  const sent = sessions.send(toMessage("t1"), toSendDeps(scriptedProvider([reply.promise])), never);
  const { rest } = await readUntil(sent, "progress");
  await sessions.stop("cancel", "enough");
  assert.equal(await rest, undefined);
  const end = (await readAll(log)).at(-1)!;
  assert.ok(end.type === "turn_cancelled" && end.payload.reason === "enough");
});

Deno.test("Sessions.stop() waits for no message that waits behind a turn which nobody goes on with", async () => {
  for (const how of ["suspend", "cancel"] as const) {
    const log = new MemoryLog();
    await begin(log);
    const { sessions } = await open(log);
    const waiting = collect(sessions.send(toMessage("t2"), toSendDeps(scriptedProvider(says("x"))), never))
      .then((events) => types(events.filter(isStored)), (error) => [error.code]);
    // It has asked what it is, and waits.
    await new Promise((resolve) => setTimeout(resolve, 0));
    await sessions.stop(how, "stop");
    assert.deepEqual(await waiting, [how === "suspend" ? "turn_suspended" : "turn_cancelled"]);
  }
});
