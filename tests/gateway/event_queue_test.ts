import assert from "node:assert/strict";
import { isStored, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { EventQueue, readOn, type Told } from "#/gateway/event_queue.ts";
import { delta, stored, turnDone } from "./scripted_source.ts";

const request = (seq: number) => stored("model_request", {} as never, seq);
const budget = (seq: number) => stored("budget", { kind: "time", used: 1, limit: 1 }, seq);

/** What a reader gets of an ended queue over this log; live events as their text. */
async function read(queue: EventQueue, log: readonly StoredEvent[], isWhole = false, after = 0) {
  const readAfter = async function* (seq: number) {
    yield* await Promise.resolve(log.filter((event) => event.seq > seq));
  };
  const all: Told[] = [];
  for await (const told of readOn(queue, { after, isWhole, readAfter })) all.push(told);
  return all.map(({ event }) => isStored(event) ? event.seq : event.type === "text_delta" ? event.payload.text : "");
}

Deno.test("readOn() tells what comes, in order, and ends with its queue", async () => {
  const queue = new EventQueue({ missed: false });
  for (const event of [request(1), delta("a"), delta("b"), turnDone("ab")]) {
    queue.tell("t", { ...event, seq: 2 } as never);
  }
  queue.end();
  queue.tell("t", delta("late"));
  assert.deepEqual(await read(queue, []), [2, "a", "b"]);
});

Deno.test("readOn() of a reader that comes later is whole, and starts with live events at the next model call", async () => {
  const queue = new EventQueue({ missed: true });
  queue.tell("t", delta("lost"));
  const reading = read(queue, [request(1), budget(2)]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  queue.tell("t", budget(2));
  queue.tell("t", delta("of a call that it has not seen from its start"));
  queue.tell("t", request(3));
  queue.tell("t", delta("shown"));
  queue.end();
  assert.deepEqual(await reading, [1, 2, 3, "shown"]);
});

Deno.test("a queue takes half of toldEventsMax live events, then none before the next model call", async () => {
  const queue = new EventQueue({ missed: false });
  const most = LIMITS.toldEventsMax / 2;
  for (let i = 0; i < most + 3; i++) queue.tell("t", delta("x"));
  queue.tell("t", request(1));
  queue.end();
  assert.deepEqual(await read(queue, []), [...Array.from({ length: most }, () => "x"), 1]);
});

Deno.test("what is recorded beyond toldEventsMax is read from the log: a slow reader loses none", async () => {
  const most = LIMITS.toldEventsMax;
  const log = Array.from({ length: most + 10 }, (_, at) => budget(at + 1));
  for (const isWhole of [false, true]) {
    const queue = new EventQueue({ missed: false });
    for (const event of log) queue.tell("t", event);
    queue.end();
    assert.deepEqual(await read(queue, log, isWhole), log.map(({ seq }) => seq));
  }
});

Deno.test("readOn() of a whole session reads what nobody told it of, once", async () => {
  const log = [1, 2, 3, 4, 5].map(budget);
  const queue = new EventQueue({ missed: false });
  for (const seq of [2, 5, 4]) queue.tell("t", budget(seq));
  queue.end();
  assert.deepEqual(await read(queue, log, true, 1), [2, 3, 4, 5]);
});

Deno.test("a reader is thrown what ended its queue, after the last event; an end that was not recorded is told", async () => {
  const queue = new EventQueue({ missed: false });
  queue.tell("t", budget(1));
  queue.tell("t", budget(0));
  queue.end({ thrown: new Error("why") });
  queue.end();
  const readAfter = async function* () {};
  const reading = readOn(queue, { after: 0, isWhole: true, readAfter });
  assert.equal((await reading.next()).done, false);
  assert.equal((await reading.next()).done, false);
  await assert.rejects(reading.next(), /why/);
});
