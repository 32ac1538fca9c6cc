import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { CommitQueue, settle, strongest } from "#/memory/commit_queue.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";

const NORMAL = { durability: "normal" } as const;
const FULL = { durability: "full" } as const;
const write = (chars = 0) => [{ sql: "x", values: ["x".repeat(chars), 1, null] }];

Deno.test("CommitQueue.take() gives what waits in its order, at most commitGroupMax at once", () => {
  const queue = new CommitQueue("a.db");
  assert.deepEqual([queue.size, queue.take()], [0, []]);
  for (let at = 0; at <= LIMITS.commitGroupMax; at++) void queue.add([{ sql: `${at}` }], NORMAL);
  assert.equal(queue.size, LIMITS.commitGroupMax + 1);
  const first = queue.take();
  assert.deepEqual(first.map(({ statements }) => statements[0]!.sql), first.map((_, at) => `${at}`));
  assert.equal(first.length, LIMITS.commitGroupMax);
  assert.deepEqual(queue.take().map(({ statements }) => statements[0]!.sql), [`${LIMITS.commitGroupMax}`]);
  assert.equal(queue.size, 0);
});

Deno.test("CommitQueue.take() bounds what a group weighs, and lets the largest go alone", () => {
  const queue = new CommitQueue("a.db");
  const max = LIMITS.commitGroupBytesMax;
  for (const chars of [max - 10, 10, 1, max + 1, 1, 1]) void queue.add(write(chars), NORMAL);
  assert.deepEqual([queue.take().length, queue.take().length, queue.take().length, queue.take().length], [2, 1, 1, 2]);
  void queue.add([{ sql: "x", values: [new Uint8Array(max)] }], NORMAL);
  void queue.add(write(1), NORMAL);
  assert.equal(queue.take().length, 1);
});

Deno.test("CommitQueue.add() refuses what is one too many to wait", async () => {
  const queue = new CommitQueue("a.db");
  for (let at = 0; at < LIMITS.commitsWaitingMax; at++) void queue.add(write(), NORMAL);
  await assert.rejects(queue.add(write(), FULL), hasCode("store_failed", "busy"));
  assert.equal(queue.size, LIMITS.commitsWaitingMax);
});

Deno.test("strongest() and settle() give each of a group at least what it asked for, and its own rows", async () => {
  const queue = new CommitQueue("a.db");
  const waiting = [queue.add([...write(), ...write()], NORMAL), queue.add([], NORMAL), queue.add(write(), FULL)];
  const group = queue.take();
  assert.deepEqual([strongest(group.slice(0, 2)), strongest(group)], ["normal", "full"]);
  settle(group, [[{ a: 1 }], [], [{ a: 2 }]]);
  assert.deepEqual(await Promise.all(waiting), [[[{ a: 1 }], []], [], [[{ a: 2 }]]]);
});
