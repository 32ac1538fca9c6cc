import assert from "node:assert/strict";
import { Stopping } from "#/runner/stopping.ts";

Deno.test("stop() drains, then closes, once; a further call is the same stop", async () => {
  const done: string[] = [];
  const stopping = new Stopping((ms) => Promise.resolve(void done.push(`drain ${ms}`)), () => {
    done.push("close");
    return Promise.resolve();
  }, 7_000);
  assert.equal(stopping.isOn, false);
  const first = stopping.stop();
  assert.equal(stopping.isOn, true);
  await Promise.all([first, stopping.stop(3_600_000)]);
  assert.deepEqual(done, ["drain 7000", "close"]);
});

Deno.test("stop() with less time ends the wait of the first, with more it does not prolong it", async () => {
  let closed = false;
  const drained = Promise.withResolvers<void>();
  const stopping = new Stopping(() => drained.promise, () => Promise.resolve(void (closed = true)));
  const first = stopping.stop(3_600_000);
  assert.equal(closed, false);
  await stopping.stop(0);
  await first;
  assert.equal(closed, true);
  drained.resolve();
});
