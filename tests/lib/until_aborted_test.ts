import assert from "node:assert/strict";
import { untilAborted } from "#/lib/until_aborted.ts";
import { countingSignal } from "../fake/counting_signal.ts";

Deno.test("untilAborted() gives the value, the rejection, or nothing when the signal came first", async () => {
  const quiet = new AbortController().signal;
  assert.equal(await untilAborted(Promise.resolve(7), quiet), 7);
  await assert.rejects(untilAborted(Promise.reject(new RangeError("no")), quiet), RangeError);
  assert.equal(await untilAborted(new Promise(() => {}), AbortSignal.abort()), undefined);
  const control = new AbortController();
  const waiting = untilAborted(new Promise(() => {}), control.signal);
  control.abort();
  assert.equal(await waiting, undefined);
});

Deno.test("untilAborted() leaves no listener behind", async () => {
  const { control, listeners } = countingSignal();
  for (let i = 0; i < 10; i++) await untilAborted(Promise.resolve(i), control.signal);
  await assert.rejects(untilAborted(Promise.reject(new Error("x")), control.signal));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(listeners(), 0);
});

Deno.test("untilAborted() swallows a rejection that comes after the signal", async () => {
  const late = Promise.withResolvers<number>();
  assert.equal(await untilAborted(late.promise, AbortSignal.abort()), undefined);
  late.reject(new Error("nobody's business"));
  await new Promise((resolve) => setTimeout(resolve, 0));
});
