import assert from "node:assert/strict";
import { joinDeltas } from "#/provider/stream.ts";
import { readJsonEvents, StreamError, type StreamObserver } from "#/provider/sse.ts";

const nobody: StreamObserver = { sawBytes() {}, sawDone() {} };

async function read(parts: readonly (string | Uint8Array)[], observer = nobody): Promise<unknown[][]> {
  const encoder = new TextEncoder();
  const lists = [];
  const body = ReadableStream.from(parts.map((part) => typeof part === "string" ? encoder.encode(part) : part));
  for await (const values of readJsonEvents(body, observer)) lists.push(values);
  return lists;
}

Deno.test("readJsonEvents() gives a burst as one list, and says what it saw", async () => {
  const seen = { bytes: 0, done: 0 };
  const observer = { sawBytes: (count: number) => void (seen.bytes += count), sawDone: () => void seen.done++ };
  const parts = ['data: {"a":1}\n\ndata: {"a":2}\n\nda', 'ta: {"a":3}\n\n', "data: [DONE]\n\n"];
  const lists = await read(parts, observer);
  assert.deepEqual(lists.flat(), [{ a: 1 }, { a: 2 }, { a: 3 }]);
  assert.deepEqual(lists[0]!.slice(0, 2), [{ a: 1 }, { a: 2 }]);
  assert.deepEqual(seen, { bytes: parts.join("").length, done: 1 });
});

Deno.test("readJsonEvents() gives a value that comes alone before the next one is there", async () => {
  let push!: (text: string) => void;
  let close!: () => void;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      push = (text) => controller.enqueue(new TextEncoder().encode(text));
      close = () => controller.close();
    },
  });
  const lists = readJsonEvents(body, nobody);
  for (const n of [1, 2, 3]) {
    push(`data: {"n":${n}}\n\n`);
    assert.deepEqual(await lists.next(), { done: false, value: [{ n }] });
  }
  close();
  assert.deepEqual(await lists.next(), { done: true, value: undefined });
});

Deno.test("readJsonEvents() does not hold the end of a reply: what waits for a burst goes with the end of the body", async () => {
  const pushed = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  const lists = readJsonEvents(new ReadableStream<Uint8Array>({ start: pushed.resolve }), nobody);
  const controller = await pushed.promise;
  const push = (text: string) => controller.enqueue(new TextEncoder().encode(text));
  const { setTimeout } = globalThis;
  // A timer that never fires: only the end can give the second list.
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  try {
    push('data: {"n":1}\n\n');
    await lists.next();
    push('data: {"n":2}\n\n');
    const second = lists.next();
    controller.close();
    assert.deepEqual(await second, { done: false, value: [{ n: 2 }] });
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

Deno.test("readJsonEvents() gives what came before the body broke, then throws", async () => {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('data: {"a":1}\n\n'));
    },
    pull(controller) {
      controller.error(new TypeError("reset"));
    },
  });
  const lists = readJsonEvents(body, nobody);
  assert.deepEqual(await lists.next(), { done: false, value: [{ a: 1 }] });
  await assert.rejects(lists.next(), TypeError);
});

Deno.test("readJsonEvents() gives the same values however the stream is cut", async () => {
  const bytes = new TextEncoder().encode(
    '\ufeff: ping\r\n\r\ndata: {"t":"grüße 🌊"}\r\n\r\nevent: x\ndata: {"t":\ndata: "two"}\n\ndata: [DONE]\n\ndata: {"t":"late"}\n\n',
  );
  for (let size = 1; size <= bytes.length; size++) {
    const parts = [];
    for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
    assert.deepEqual((await read(parts)).flat(), [{ t: "grüße 🌊" }, { t: "two" }], `cut at ${size}`);
  }
});

Deno.test("readJsonEvents() takes a last event without its blank line, and nothing for nothing", async () => {
  assert.deepEqual(await read(['data: {"a":1}']), [[{ a: 1 }]]);
  assert.deepEqual(await read([]), []);
  assert.deepEqual(await read([": only a comment\n\n"]), []);
});

Deno.test("readJsonEvents() throws what is no JSON and what is an error", async () => {
  await assert.rejects(read(["data: {oops\n\n"]), SyntaxError);
  for (const data of ['{"error":{"message":"no"}}', '[{"error":{"message":"no"}}]']) {
    await assert.rejects(read([`data: ${data}\n\n`]), (error) => {
      assert.ok(error instanceof StreamError);
      assert.deepEqual(error.error, { message: "no" });
      return true;
    });
  }
});

Deno.test("readJsonEvents() lets go of the body when its reader leaves", async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: {"a":1}\n\n')),
    cancel: () => void (cancelled = true),
  });
  for await (const _ of readJsonEvents(body, nobody)) break;
  assert.ok(cancelled);
});

Deno.test("joinDeltas() joins neighbours of a kind and keeps the order", () => {
  const call = { type: "tool_call", call: { id: "1", name: "x", arguments: "{}" } } as const;
  assert.deepEqual(
    joinDeltas([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
      { type: "reasoning", text: "c" },
      { type: "text", text: "d" },
      call,
      { type: "text", text: "e" },
    ]),
    [{ type: "text", text: "ab" }, { type: "reasoning", text: "c" }, { type: "text", text: "d" }, call, {
      type: "text",
      text: "e",
    }],
  );
  assert.deepEqual(joinDeltas([]), []);
});

Deno.test("readJsonEvents() gives an event at the very end without its blank line, and drops one that was cut there", async () => {
  for (const end of ["", "\n", "\r"]) {
    assert.deepEqual((await read([`data: {"a":1}\n\ndata: {"a":2}${end}`])).flat(), [{ a: 1 }, { a: 2 }]);
    assert.deepEqual((await read([`data: {"a":1}\n\ndata: {"a":${end}`])).flat(), [{ a: 1 }]);
  }
  const seen: string[] = [];
  await read(["data: [DONE]"], { sawBytes() {}, sawDone: () => void seen.push("done") });
  assert.deepEqual(seen, ["done"]);
});

Deno.test("readJsonEvents() gives the last event although the body ends while the one before is with its reader", async () => {
  const pushed = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  const lists = readJsonEvents(new ReadableStream<Uint8Array>({ start: pushed.resolve }), nobody);
  const controller = await pushed.promise;
  controller.enqueue(new TextEncoder().encode('data: {"n":1}\n\ndata: {"n":2}'));
  assert.deepEqual(await lists.next(), { done: false, value: [{ n: 1 }] });
  controller.close();
  await Promise.resolve();
  assert.deepEqual(await lists.next(), { done: false, value: [{ n: 2 }] });
});

Deno.test("readJsonEvents() holds nothing for more once enough has come", async () => {
  const pushed = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  const lists = readJsonEvents(new ReadableStream<Uint8Array>({ start: pushed.resolve }), nobody);
  const controller = await pushed.promise;
  const push = (text: string) => controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(text)}\n\n`));
  for (let at = 0; at < 20; at++) {
    push("quick");
    await lists.next();
  }
  const { setTimeout } = globalThis;
  // A timer that never fires: a list that is held stays held.
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  try {
    push("x".repeat(16_384));
    assert.deepEqual((await lists.next()).value, ["x".repeat(16_384)]);
  } finally {
    globalThis.setTimeout = setTimeout;
    await lists.return();
  }
});
