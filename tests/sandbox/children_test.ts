import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { openChildren } from "#/sandbox/children.ts";
import {
  answerWith,
  ENDLESS_PAGE,
  endlessCall,
  isAlive,
  never,
  openBadChildren,
  openFilesComponent,
  openRealChildren,
  readCall,
} from "./child_kit.ts";

Deno.test("run() of a pool reads a file through a real child, and a second call finds the same child", async () => {
  await using children = await openRealChildren();
  assert.deepEqual(children.pids, []);
  const first = await children.run(readCall(), answerWith("hello\n"), never());
  assert.deepEqual([first.ok, first.code, first.text, first.outputBytes], [true, "ok", "hello\n", 6]);
  const pids = children.pids;
  assert.equal((await children.run(readCall(), answerWith("again"), never())).text, "again");
  assert.deepEqual(children.pids, pids);
});

Deno.test("warm() starts one child, once; close() leaves none behind and refuses what comes after", async () => {
  await using children = await openRealChildren();
  await children.warm();
  await children.warm();
  const [pid] = children.pids;
  assert.equal(children.pids.length, 1);
  await children.close();
  assert.ok(!isAlive(pid!));
  await assert.rejects(children.run(readCall(), answerWith(""), never()), { code: "cancelled" });
  await children.warm();
  assert.deepEqual(children.pids, []);
});

Deno.test("run() of a pool runs calls side by side in at most childrenMax children", async () => {
  await using children = await openRealChildren({ childrenMax: 2 });
  let together = 0;
  let most = 0;
  await Promise.all([1, 2, 3, 4, 5, 6].map(async (number) => {
    const outcome = await children.run(readCall(), async (call, signal) => {
      most = Math.max(most, ++together);
      // Two calls are held until both are there: that they run at the same time is what is tested.
      if (number <= 2) await until(() => most === 2);
      together--;
      return await answerWith(String(number))(call, signal);
    }, never());
    assert.equal(outcome.text, String(number));
  }));
  assert.equal(most, 2);
  assert.equal(children.pids.length, 2);
});

Deno.test("run() of a pool ends a loop at its deadline, kills that child and gives the next call a new one", async () => {
  await using children = await openRealChildren();
  await children.warm();
  const [pid] = children.pids;
  const outcome = await children.run(endlessCall(200), ENDLESS_PAGE, never());
  assert.deepEqual([outcome.ok, outcome.code], [false, "tool_timeout"]);
  assert.match(outcome.text, /file_search was stopped at its deadline of 200 ms/);
  assert.ok(outcome.elapsedMs >= 195, `${outcome.elapsedMs} ms`);
  assert.equal((await children.run(readCall(), answerWith("on"), never())).text, "on");
  assert.ok(!children.pids.includes(pid!));
});

Deno.test("run() of a pool rejects when it is cancelled, long before the deadline; the child is gone", async () => {
  await using children = await openRealChildren();
  await children.warm();
  const [pid] = children.pids;
  const cancel = new AbortController();
  const asked = Promise.withResolvers<void>();
  const running = children.run(endlessCall(30_000), (call, signal) => {
    asked.resolve();
    return ENDLESS_PAGE(call, signal);
  }, cancel.signal);
  await asked.promise;
  cancel.abort();
  await assert.rejects(running, { code: "cancelled" });
  await until(() => !isAlive(pid!));
  assert.equal((await children.run(readCall(), answerWith("on"), never())).text, "on");
});

Deno.test("run() of a pool cancels a call that waits, without touching the one that runs", async () => {
  await using children = await openRealChildren({ childrenMax: 1 });
  const held = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const first = children.run(readCall(), async (call, signal) => {
    asked.resolve();
    await held.promise;
    return await answerWith("first")(call, signal);
  }, never());
  await asked.promise;
  const cancel = new AbortController();
  const second = children.run(readCall(), answerWith("second"), cancel.signal);
  cancel.abort();
  await assert.rejects(second, { code: "cancelled" });
  await assert.rejects(children.run(readCall(), answerWith(""), AbortSignal.abort()), { code: "cancelled" });
  held.resolve();
  assert.equal((await first).text, "first");
});

Deno.test("run() of a pool serves calls in order and refuses more waiting ones than brokerCallsMax", async () => {
  await using children = await openRealChildren({ childrenMax: 1 });
  const held = Promise.withResolvers<void>();
  const order: number[] = [];
  const calls = Array.from(
    { length: LIMITS.brokerCallsMax },
    (_, number) =>
      children.run(readCall(), async (call, signal) => {
        order.push(number);
        await held.promise;
        return await answerWith("ok")(call, signal);
      }, never()),
  );
  await assert.rejects(children.run(readCall(), answerWith(""), never()), { code: "queue_full" });
  held.resolve();
  for (const outcome of await Promise.all(calls)) assert.equal(outcome.text, "ok");
  assert.deepEqual(order, order.toSorted((a, b) => a - b));
  assert.equal(order.length, LIMITS.brokerCallsMax);
});

Deno.test("a host call that nobody answers ends with the deadline, not before", async () => {
  await using children = await openRealChildren();
  await children.warm();
  let aborted = false;
  const outcome = await children.run(readCall({ timeoutMs: 150 }), (_call, signal) => {
    signal.addEventListener("abort", () => aborted = true);
    return new Promise(() => {});
  }, never());
  assert.equal(outcome.code, "tool_timeout");
  assert.ok(aborted, "the host call was told");
  assert.ok(outcome.elapsedMs >= 145, `${outcome.elapsedMs} ms`);
});

Deno.test("what a host call throws reaches the component as a failure; a strange error says nothing", async () => {
  const { AppError } = await import("#/core/error.ts");
  await using children = await openRealChildren();
  const known = await children.run(
    readCall(),
    () => Promise.reject(new AppError("file_not_found", "/shared/a.txt does not exist")),
    never(),
  );
  assert.deepEqual([known.ok, known.code, known.text], [false, "file_not_found", "/shared/a.txt does not exist"]);
  const strange = await children.run(readCall(), () => Promise.reject(new Error("/srv/secret/path")), never());
  assert.deepEqual([strange.code, strange.text], ["tool_failed", "the host could not answer"]);
  const large = await children.run(
    readCall(),
    () => Promise.resolve({ value: "x".repeat(LIMITS.frameBytesMax) }),
    never(),
  );
  assert.equal(large.code, "quota_exceeded");
});

Deno.test("an interface that is not granted fails inside the child: the host is not asked", async () => {
  await using children = await openRealChildren();
  const request = {
    tool: "file_write",
    args: { path: "/shared/a", content: "x" },
    timeoutMs: 5_000,
    interfaces: ["fs-read"],
  };
  const outcome = await children.run(request, () => assert.fail("asked"), never());
  assert.deepEqual([outcome.ok, outcome.code], [false, "tool_denied"]);
});

Deno.test("a text that does not fit into a frame is a failure, not a crash", async () => {
  await using children = await openRealChildren();
  const request = {
    tool: "file_write",
    args: { path: "/shared/a", content: "x" },
    timeoutMs: 5_000,
    interfaces: ["fs-read", "fs-write"],
  };
  const old = "o".repeat(LIMITS.frameBytesMax - 10) + "end";
  const edit = { ...request, tool: "file_edit", args: { path: "/shared/a", old_text: "end", new_text: "END of it" } };
  const outcome = await children.run(edit, answerWith(old), never());
  assert.deepEqual([outcome.ok, outcome.code], [false, "file_too_large"]);
});

Deno.test("a child is replaced after callsMax calls and when it holds more than bytesMax", async () => {
  await using children = await openRealChildren({ callsMax: 2 });
  const seen: number[] = [];
  for (let count = 0; count < 5; count++) {
    await children.run(readCall(), (call, signal) => {
      return answerWith("x")(call, signal);
    }, never());
    seen.push(...children.pids);
  }
  assert.ok(new Set(seen).size >= 3, `${new Set(seen).size} processes`);
  await using small = await openRealChildren({ bytesMax: 1 });
  await small.warm();
  const [pid] = small.pids;
  await small.run(readCall(), answerWith("x"), never());
  assert.ok(!small.pids.includes(pid!));
});

Deno.test("idle children leave, the last one too, and the next call gets a new one", async () => {
  await using children = await openRealChildren({ childrenMax: 3, idleMs: 30 });
  let there = 0;
  await Promise.all([1, 2, 3].map(() =>
    children.run(readCall(), async (call, signal) => {
      there++;
      await until(() => there === 3);
      return await answerWith("x")(call, signal);
    }, never())
  ));
  const before = children.pids;
  assert.equal(before.length, 3);
  await until(() => children.pids.length === 0 && before.every((pid) => !isAlive(pid)));
  assert.equal((await children.run(readCall(), answerWith("on"), never())).text, "on");
});

Deno.test("a child that is killed from outside costs one call at most", async () => {
  await using children = await openRealChildren();
  await children.warm();
  const running = children.run(readCall(), (call, signal) => {
    Deno.kill(children.pids[0]!, "SIGKILL");
    return answerWith("x")(call, signal);
  }, never());
  const outcome = await running;
  assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"]);
  assert.equal((await children.run(readCall(), answerWith("on"), never())).text, "on");
});

Deno.test("a call that counts on a child that is being warmed gets another one when that child is killed", async () => {
  await using children = await openRealChildren();
  const warming = children.warm();
  const call = children.run(readCall(), answerWith("read"), never());
  Deno.kill(children.pids[0]!, "SIGKILL");
  await assert.rejects(warming, { code: "tool_crashed" });
  assert.equal((await call).text, "read");
});

Deno.test("a process that cannot be started fails each call with tool_crashed and does not spin", async () => {
  const component = await openFilesComponent();
  for (const command of ["/nowhere/deno", "/bin/false"]) {
    const children = openChildren({ component, plan: { command, args: [], env: {} } });
    const outcomes = await Promise.all([1, 2, 3].map(() => children.run(readCall(), answerWith(""), never())));
    for (const outcome of outcomes) assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"], command);
    await assert.rejects(children.warm(), { code: "tool_crashed" });
    await children.close();
  }
});

/** Each of these children breaks the protocol in its own way during the first call. */
const BAD: readonly [what: string, code: string][] = [
  ["answers with garbage", `write(encoder.encode("garbage, not a frame"))`],
  ["announces a frame of 4 GiB", `write(new Uint8Array([255, 255, 255, 255, 0]))`],
  ["sends an unknown frame kind", `frame(7, id, new Uint8Array(3))`],
  ["sends broken JSON", `send(id, "{")`],
  ["sends an unknown message", `send(id, { v: 1, type: "grant" })`],
  [
    "adds a field",
    `send(id, { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" }, grant: "all" })`,
  ],
  ["answers for another call", `result(id + 1)`],
  [
    "asks for another call",
    `send(id + 1, { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } })`,
  ],
  ["loads again", `send(id, { v: 1, type: "loaded" })`],
  ["sends content before its head", `frame(1, id, new Uint8Array(3))`],
  ["sends more content than announced", `result(id, { contentBytes: 1 }); frame(1, id, new Uint8Array(2))`],
  ["sends another head instead of content", `result(id, { contentBytes: 1 }); result(id)`],
  [
    "sends empty content for ever",
    `result(id, { contentBytes: 1 }); for (let n = 0; n < 10; n++) frame(1, id, new Uint8Array(0))`,
  ],
  [
    "ends half way through its result",
    `result(id, { contentBytes: 10 }); frame(1, id, new Uint8Array(5)); Deno.exit(0)`,
  ],
  ["exits", `Deno.exit(0)`],
  ["throws", `throw new Error("no")`],
  ["runs out of memory", `const all = []; for (;;) all.push(new Array(1e6).fill({}))`],
  ["floods stderr", `const line = "x".repeat(65536); for (;;) Deno.stderr.writeSync(encoder.encode(line))`],
];

for (const [what, code] of BAD) {
  Deno.test(`a child that ${what} is killed and its call ends as tool_crashed`, async () => {
    await using children = await openBadChildren(`loaded(); const id = next().callId; ${code}; for (;;) next();`, {
      childrenMax: 1,
    });
    await children.warm();
    const [pid] = children.pids;
    const outcome = await children.run(readCall({ timeoutMs: 20_000 }), answerWith("x"), never());
    assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"]);
    await until(() => !isAlive(pid!));
  });
}

Deno.test("a child that asks again before it was answered is killed and its call ends as tool_crashed", async () => {
  await using children = await openBadChildren(
    `loaded(); const id = next().callId;
     for (let n = 0; n < 2; n++) send(id, { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } }); next();`,
  );
  const outcome = await children.run(readCall({ timeoutMs: 20_000 }), () => new Promise(() => {}), never());
  assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"]);
});

Deno.test("a child that talks after its result is not used again", async () => {
  await using children = await openBadChildren(
    `loaded(); for (;;) { const id = next().callId; result(id, { contentBytes: 1, outputBytes: 1 }); frame(1, id, encoder.encode("1")); result(id); }`,
  );
  await children.warm();
  const [pid] = children.pids;
  assert.equal((await children.run(readCall(), answerWith("x"), never())).text, "1");
  await until(() => !isAlive(pid!));
  await until(() => children.pids.length === 1 && children.pids[0] !== pid);
});

Deno.test("a child that neither reads nor answers is killed at its deadline and the grace", async () => {
  await using children = await openBadChildren(`loaded(); for (;;) {}`);
  await children.warm();
  const [pid] = children.pids;
  const args = { path: "x".repeat(500_000) };
  const outcome = await children.run(readCall({ timeoutMs: 100, args }), answerWith("x"), never());
  assert.equal(outcome.code, "tool_timeout");
  assert.ok(outcome.elapsedMs >= 100 + LIMITS.killGraceMs - 5, `${outcome.elapsedMs} ms`);
  await until(() => !isAlive(pid!));
});

Deno.test("a child that says cancelled, or makes a code up, has no say", async () => {
  await using children = await openBadChildren(
    `loaded(); for (;;) result(next().callId, { ok: false, code: "cancelled" });`,
  );
  assert.equal((await children.run(readCall(), answerWith("x"), never())).code, "tool_failed");
});

Deno.test("a child that cannot load the component says why", async () => {
  await using children = await openBadChildren(
    `next(); send(0, { v: 1, type: "load_failed", message: "no wasm here" });`,
  );
  const outcome = await children.run(readCall(), answerWith("x"), never());
  assert.deepEqual([outcome.code, /no wasm here/.test(outcome.text)], ["tool_crashed", true]);
});

/** Waits for a condition that a process changes; there is nothing to await. Gives up after ten seconds. */
async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !condition();) {
    assert.ok(performance.now() < end, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
