/** A tool child whose code is not ours: what it can cost the runner, and what it leaves behind. */
import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { OnHostCall } from "#/sandbox/child_process.ts";
import { isAlive, never, openBadChildren, readCall } from "../sandbox/child_kit.ts";

const HOST = `{ v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } }`;
const SLEEP = `const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);`;

/** Answers with a megabyte, and counts. */
function countAnswers(): { onHostCall: OnHostCall; asked: () => number } {
  let asked = 0;
  const content = new Uint8Array(1_000_000);
  const onHostCall: OnHostCall = () => {
    asked++;
    return Promise.resolve({ value: { bytes: content.length, sha256: "" }, content });
  };
  return { onHostCall, asked: () => asked };
}

Deno.test("a child that asks again and again and reads no answer is answered once", async () => {
  const code = `${SLEEP} loaded(); const { callId } = next();
    for (let i = 0; i < 20; i++) { send(callId, ${HOST}); sleep(20); }
    result(callId); sleep(10_000);`;
  await using pool = await openBadChildren(code);
  const { onHostCall, asked } = countAnswers();
  const outcome = await pool.run(readCall(), onHostCall, never());
  assert.equal(outcome.code, "tool_crashed");
  assert.ok(asked() <= 2, `${asked()} answers of 1 MB wait in the runner`);
});

Deno.test("a child that asks as fast as it can read gets every answer", async () => {
  const code = `loaded(); const { callId } = next();
    for (let i = 0; i < 30; i++) { send(callId, ${HOST}); for (let bytes = 0; bytes < 1_000_000;) { const f = next(); if (f.kind === 1) bytes += f.body.length; } }
    result(callId); next();`;
  await using pool = await openBadChildren(code);
  const { onHostCall, asked } = countAnswers();
  const outcome = await pool.run(readCall(), onHostCall, never());
  assert.deepEqual([outcome.code, asked()], ["ok", 30]);
});

Deno.test("a child that says it is loaded and takes no component serves no call", async () => {
  await using pool = await openBadChildren(`${SLEEP} send(0, { v: 1, type: "loaded" }); sleep(100); Deno.exit(0);`);
  const { onHostCall } = countAnswers();
  const outcome = await pool.run(readCall(), onHostCall, never());
  assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"]);
});

Deno.test("a child that allocates beside V8's heap is killed while it does", async () => {
  const code = `${SLEEP} loaded(); const { callId } = next(); const kept = [];
    for (let i = 0; i < 60; i++) { const part = new Uint8Array(16_777_216); part.fill(1); kept.push(part); sleep(20); }
    result(callId); sleep(10_000);`;
  await using pool = await openBadChildren(code);
  const { onHostCall } = countAnswers();
  const running = pool.run(readCall(), onHostCall, never());
  const outcome = await running;
  assert.equal(outcome.code, "tool_crashed");
  assert.match(outcome.text, new RegExp(`used more than ${LIMITS.childBytesMax} bytes of memory`));
});

Deno.test("a child that allocates between two calls is killed as well", async () => {
  const code = `${SLEEP} loaded(); const { callId } = next(); result(callId); const kept = [];
    for (let i = 0; i < 60; i++) { const part = new Uint8Array(16_777_216); part.fill(1); kept.push(part); sleep(5); }
    sleep(60_000);`;
  await using pool = await openBadChildren(code);
  const { onHostCall } = countAnswers();
  assert.equal((await pool.run(readCall(), onHostCall, never())).code, "ok");
  const [pid] = pool.pids;
  assert.ok(pid !== undefined && isAlive(pid));
  const end = performance.now() + 10_000;
  while (isAlive(pid) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!isAlive(pid));
});
