import assert from "node:assert/strict";
import { delay } from "#/lib/delay.ts";

Deno.test("delay() resolves after its time", async () => {
  const before = performance.now();
  await delay(5, new AbortController().signal);
  assert.ok(performance.now() - before >= 4);
});

Deno.test("delay() resolves at once when its signal fires, before or while it waits", async () => {
  await delay(3_600_000, AbortSignal.abort());
  const control = new AbortController();
  const waiting = delay(3_600_000, control.signal);
  control.abort();
  await waiting;
});
