import assert from "node:assert/strict";
import type { AppError } from "#/core/error.ts";
import { Lanes, type Lease } from "#/lib/lane.ts";

const never = new AbortController().signal;

/** Enters and notes the name when its turn comes. */
function entering(
  lanes: Lanes,
  owner: string,
  lane: string,
  name: string,
  started: string[],
  signal = never,
): Promise<Lease> {
  return lanes.enter(owner, lane, signal).then((lease) => {
    started.push(name);
    return lease;
  });
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("Lanes runs one entry a lane and keeps their order", async () => {
  const lanes = new Lanes({ runningMax: 10, queuedMax: 10 });
  const started: string[] = [];
  const first = await entering(lanes, "u", "s", "1", started);
  const second = entering(lanes, "u", "s", "2", started);
  const third = entering(lanes, "u", "s", "3", started);
  await settle();
  assert.deepEqual(started, ["1"]);
  assert.deepEqual(lanes.load("u"), { running: 1, waiting: 2 });
  first.release();
  const lease = await second;
  await settle();
  assert.deepEqual(started, ["1", "2"]);
  lease.release();
  (await third).release();
  assert.deepEqual(started, ["1", "2", "3"]);
  assert.deepEqual(lanes.load("u"), { running: 0, waiting: 0 });
});

Deno.test("Lanes lets another lane pass a busy one", async () => {
  const lanes = new Lanes({ runningMax: 2, queuedMax: 10 });
  const started: string[] = [];
  const a1 = await entering(lanes, "u", "a", "a1", started);
  const b1 = await entering(lanes, "u", "b", "b1", started);
  void entering(lanes, "u", "a", "a2", started);
  void entering(lanes, "u", "c", "c1", started);
  b1.release();
  await settle();
  assert.deepEqual(started, ["a1", "b1", "c1"]);
  a1.release();
  await settle();
  assert.deepEqual(started, ["a1", "b1", "c1", "a2"]);
});

Deno.test("Lanes gives a free place to whoever has waited longest, so that nobody starves", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 10 });
  const started: string[] = [];
  let lease = await entering(lanes, "u", "busy", "0", started);
  const waiting = ["busy", "quiet", "busy", "busy"].map((lane, i) => entering(lanes, "u", lane, `${i + 1}`, started));
  for (const next of waiting) {
    lease.release();
    lease = await next;
  }
  assert.deepEqual(started, ["0", "1", "2", "3", "4"]);
});

Deno.test("Lanes does not let one owner wait for another", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 0 });
  await lanes.enter("a", "s", never);
  const other = await lanes.enter("b", "s", never);
  other.release();
  await assert.rejects(lanes.enter("a", "t", never), { code: "queue_full" });
});

Deno.test("Lanes refuses what is over the bound and takes it at the bound", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 2 });
  const lease = await lanes.enter("u", "s", never);
  const waiting = [lanes.enter("u", "s", never), lanes.enter("u", "s", never)];
  await assert.rejects(
    lanes.enter("u", "s", never),
    (error: AppError) => error.code === "queue_full" && error.params["waiting"] === 2,
  );
  lease.release();
  (await waiting[0]!).release();
  (await waiting[1]!).release();
  assert.deepEqual(lanes.load("u"), { running: 0, waiting: 0 });
});

Deno.test("Lanes lets a queued entry go when its signal fires, and only that one", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 2 });
  const started: string[] = [];
  const control = new AbortController();
  const lease = await lanes.enter("u", "s", never);
  const cancelled = entering(lanes, "u", "s", "cancelled", started, control.signal);
  const kept = entering(lanes, "u", "s", "kept", started);
  control.abort();
  await assert.rejects(cancelled, { code: "cancelled" });
  assert.deepEqual(lanes.load("u"), { running: 1, waiting: 1 });
  lease.release();
  await kept;
  assert.deepEqual(started, ["kept"]);
});

Deno.test("Lanes refuses an entry whose signal fired before, and ignores one that fires while it runs", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 1 });
  await assert.rejects(lanes.enter("u", "s", AbortSignal.abort()), { code: "cancelled" });
  const control = new AbortController();
  const lease = await lanes.enter("u", "s", control.signal);
  control.abort();
  assert.deepEqual(lanes.load("u"), { running: 1, waiting: 0 });
  lease.release();
});

Deno.test("Lanes forgets the signal of an entry whose turn has come", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 5 });
  const control = new AbortController();
  const first = await lanes.enter("u", "s", never);
  const second = lanes.enter("u", "s", control.signal);
  const third = lanes.enter("u", "s", never);
  first.release();
  const lease = await second;
  control.abort();
  assert.deepEqual(lanes.load("u"), { running: 1, waiting: 1 });
  lease.release();
  (await third).release();
  assert.equal(lanes.owners, 0);
});

Deno.test("Lease.release() twice frees one place", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 5 });
  const started: string[] = [];
  const lease = await lanes.enter("u", "s", never);
  void entering(lanes, "u", "s", "2", started);
  void entering(lanes, "u", "s", "3", started);
  lease.release();
  lease.release();
  await settle();
  assert.deepEqual(started, ["2"]);
});

Deno.test("Lanes refuses bounds without room", () => {
  assert.throws(() => new Lanes({ runningMax: 0, queuedMax: 1 }), RangeError);
  assert.throws(() => new Lanes({ runningMax: 1, queuedMax: -1 }), RangeError);
});

Deno.test("Lanes keeps its promises under a thousand entries in random order of release", async () => {
  const lanes = new Lanes({ runningMax: 3, queuedMax: 1_000 });
  let running = 0;
  let runningMost = 0;
  const busy = new Set<string>();
  const seen: Record<string, number[]> = {};
  await Promise.all(Array.from({ length: 1_000 }, async (_, i) => {
    const lane = `s${(i * 7) % 5}`;
    const lease = await lanes.enter("u", lane, never);
    assert.ok(!busy.has(lane));
    busy.add(lane);
    runningMost = Math.max(runningMost, ++running);
    (seen[lane] ??= []).push(i);
    for (let wait = (i * 13) % 4; wait > 0; wait--) await Promise.resolve();
    busy.delete(lane);
    running--;
    lease.release();
  }));
  assert.equal(runningMost, 3);
  for (const order of Object.values(seen)) assert.deepEqual(order, order.toSorted((a, b) => a - b));
  assert.deepEqual(lanes.load("u"), { running: 0, waiting: 0 });
});
