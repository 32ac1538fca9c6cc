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

Deno.test("Lanes lets chat go before background, whoever came first, and keeps one place free of background", async () => {
  const lanes = new Lanes({ runningMax: 3, queuedMax: 10 });
  const started: string[] = [];
  const enter = (name: string, priority: "chat" | "background") =>
    lanes.enter("u", name, never, priority).then((lease) => {
      started.push(name);
      return lease;
    });
  const [b1, b2] = [await enter("b1", "background"), await enter("b2", "background")];
  const b3 = enter("b3", "background");
  await settle();
  assert.deepEqual(started, ["b1", "b2"], "the third place is chat's");
  const c1 = await enter("c1", "chat");
  const c2 = enter("c2", "chat");
  b1.release();
  await settle();
  assert.deepEqual(started, ["b1", "b2", "c1", "c2"], "chat passes a background entry that has waited longer");
  b2.release();
  await settle();
  assert.equal(started.length, 4, "the free place is the last one");
  c1.release();
  await settle();
  assert.deepEqual(started.at(-1), "b3");
  (await b3).release();
  (await c2).release();
  assert.equal(lanes.owners, 0);
});

Deno.test("Lanes gives the only place to background while no chat wants it, and bounds the queue of each priority alone", async () => {
  const lanes = new Lanes({ runningMax: 1, queuedMax: 1 });
  const lease = await lanes.enter("u", "b", never, "background");
  const waiting = lanes.enter("u", "b2", never, "background");
  await assert.rejects(lanes.enter("u", "b3", never, "background"), { code: "queue_full" });
  const chat = lanes.enter("u", "c", never);
  await assert.rejects(lanes.enter("u", "c2", never), { code: "queue_full" });
  lease.release();
  (await chat).release();
  (await waiting).release();
  assert.equal(lanes.owners, 0);
});

/** A small generator of its own (mulberry32), so that a failure can be run again by its seed. */
function toRandom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

Deno.test("Lanes holds for 200 random histories: one a lane, chat first, a place for chat, order among equals, nobody forgotten", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = toRandom(seed);
    const runningMax = 1 + Math.floor(random() * 4);
    const lanes = new Lanes({ runningMax, queuedMax: 1_000 });
    const running = new Map<string, { lease: Lease; priority: string }>();
    const waiting: { id: number; lane: string; priority: "chat" | "background" }[] = [];
    const errors: string[] = [];
    const startable = (priority: string, lane: string) =>
      !running.has(lane) && running.size < (priority === "chat" || runningMax === 1 ? runningMax : runningMax - 1);
    const onStart = (id: number, lane: string, priority: "chat" | "background", lease: Lease) => {
      if (!startable(priority, lane)) errors.push(`${id} started where it may not`);
      const before = waiting.slice(0, waiting.findIndex((other) => other.id === id));
      if (before.some((other) => other.priority === priority && other.lane === lane)) errors.push(`${id} overtook`);
      if (before.some((other) => other.priority === priority && startable(priority, other.lane))) {
        errors.push(`${id} passed an equal that could run`);
      }
      const passedChat = waiting.some((other) => other.priority === "chat" && startable("chat", other.lane));
      if (priority === "background" && passedChat) errors.push(`${id} passed chat`);
      waiting.splice(before.length, 1);
      running.set(lane, { lease, priority });
    };
    const releaseOne = async () => {
      const lane = [...running.keys()][Math.floor(random() * running.size)]!;
      const { lease } = running.get(lane)!;
      running.delete(lane);
      lease.release();
      await settle();
    };
    for (let id = 0; id < 60; id++) {
      const lane = `s${Math.floor(random() * 6)}`;
      const priority = random() < 0.5 ? "chat" : "background";
      waiting.push({ id, lane, priority });
      void lanes.enter("u", lane, never, priority).then((lease) => onStart(id, lane, priority, lease));
      await settle();
      if (random() < 0.4 && running.size > 0) await releaseOne();
    }
    while (running.size > 0) await releaseOne();
    assert.deepEqual([errors, waiting, lanes.owners], [[], [], 0], `seed ${seed}`);
  }
});
