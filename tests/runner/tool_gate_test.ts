import assert from "node:assert/strict";
import type { ToolRequest } from "#/core/capability.ts";
import { ToolGate } from "#/runner/tool_gate.ts";
import type { ToolHost } from "#/runner/tool_host.ts";
import { ok } from "../fake/recording_sandbox.ts";

const REQUEST = { tool: "file_read" } as ToolRequest;
const signal = new AbortController().signal;

/** A host whose calls end when the test says so, or when it is closed. */
function makeHost(name: string) {
  const held: (() => void)[] = [];
  const seen: string[] = [];
  const host = {
    broker: {
      call: () => new Promise((resolve) => held.push(() => resolve(ok("file_read", name)))),
      answer: ({ id }: { id: string }) => Promise.resolve(void seen.push(`answer ${id}`)),
      forget: (session: string) => Promise.resolve(void seen.push(`forget ${session}`)),
    },
    close() {
      seen.push("close");
      held.splice(0).forEach((end) => end());
      return Promise.resolve();
    },
  } as unknown as ToolHost;
  return { host, seen, end: () => held.splice(0).forEach((end) => end()), held };
}

const never = () => Promise.reject(new Error("not wanted"));
const tick = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("ToolGate swaps hosts between calls: what runs ends on the old one, what comes waits for the new one", async () => {
  const [old, next] = [makeHost("old"), makeHost("new")];
  const gate = new ToolGate(Promise.resolve(old.host));
  const running = gate.call(REQUEST, signal);
  await tick();
  const swap = gate.swap(() => Promise.resolve(next.host), never, 60_000);
  const waiting = gate.call(REQUEST, signal);
  await tick();
  assert.deepEqual([old.seen, next.held.length], [[], 0]);
  await gate.answer({ id: "a", answer: "once" });
  await gate.forget("gone");
  assert.deepEqual(old.seen.splice(1), ["forget gone"], "and it ends what a deleted session has");
  assert.deepEqual(old.seen, ["answer a"], "while calls end, cards are answered by the old one");
  old.end();
  assert.equal((await running).text, "old");
  await swap;
  await tick();
  next.end();
  assert.equal((await waiting).text, "new");
  assert.deepEqual(old.seen, ["answer a", "close"]);
  assert.equal(await gate.host(), next.host);
  await gate.answer({ id: "b", answer: "once" });
  await gate.forget("s");
  await gate.close();
  assert.deepEqual(next.seen, ["answer b", "forget s", "close"]);
});

Deno.test("ToolGate does not wait for a call longer than it is told: the old host's close ends it", async () => {
  const [old, next] = [makeHost("old"), makeHost("new")];
  const gate = new ToolGate(Promise.resolve(old.host));
  const running = gate.call(REQUEST, signal);
  await tick();
  await gate.swap(() => Promise.resolve(next.host), never, 1);
  assert.equal((await running).text, "old");
});

Deno.test("ToolGate goes on with what was there before when the new host cannot be opened", async () => {
  const [old, again] = [makeHost("old"), makeHost("again")];
  const gate = new ToolGate(Promise.resolve(old.host));
  await assert.rejects(gate.swap(never, () => Promise.resolve(again.host), 1), /not wanted/);
  assert.equal(await gate.host(), again.host);
  await assert.rejects(gate.swap(never, never, 1), /not wanted/);
  await assert.rejects(gate.host(), /not wanted/);
  await assert.rejects(gate.call(REQUEST, signal), /not wanted/);
  await gate.close();
});

Deno.test("ToolGate gives up a swap that waits when it is to stop, and closes what is there", async () => {
  const old = makeHost("old");
  const gate = new ToolGate(Promise.resolve(old.host));
  const running = gate.call(REQUEST, signal);
  await tick();
  const swap = gate.swap(never, never, 60_000);
  gate.stopSwaps();
  await assert.rejects(swap, { code: "cancelled" });
  await gate.close();
  assert.equal((await running).text, "old");
  assert.deepEqual(old.seen, ["close"]);
});

Deno.test("ToolGate says to each call why no host was opened", async () => {
  const gate = new ToolGate(never());
  await assert.rejects(gate.call(REQUEST, signal), /not wanted/);
  await gate.close();
});
