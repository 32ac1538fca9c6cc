import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { encodeSse, toSseResponse } from "#/gateway/sse.ts";

/** A clock that a test turns by hand. */
function makeClock() {
  const timers = new Set<{ ms: number; run: () => void }>();
  return {
    after: (ms: number, run: () => void) => {
      const timer = { ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async fire(ms: number) {
      for (;;) {
        const timer = [...timers].find((candidate) => candidate.ms === ms);
        if (timer !== undefined) return void (timers.delete(timer), timer.run());
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    },
  };
}

const read = async (reader: ReadableStreamDefaultReader<Uint8Array>) => {
  const { done, value } = await reader.read();
  return done ? undefined : new TextDecoder().decode(value);
};

Deno.test("encodeSse() writes one event, whatever its text holds", () => {
  assert.equal(encodeSse({ id: 3, name: "a", body: { b: 1 } }), 'id: 3\nevent: a\ndata: {"b":1}\n\n');
  const hostile = "\n\ndata: [DONE]\r\revent: x\u2028\u0085\0";
  const text = encodeSse({ body: hostile });
  assert.deepEqual(text.split(/\r\n|\n|\r/).filter((line) => line !== "").length, 1);
  assert.equal(JSON.parse(text.slice(6)), hostile);
});

Deno.test("toSseResponse() keeps a silent stream open by comments, asks as it is read, and ends with its source", async () => {
  const clock = makeClock();
  const gate = Promise.withResolvers<void>();
  const texts = async function* () {
    yield "data: 1\n\n";
    await gate.promise;
    yield "data: 2\n\n";
  };
  const response = toSseResponse(texts(), { after: clock.after, left: () => {}, headers: { "x-a": "b" } });
  assert.equal(response.headers.get("x-a"), "b");
  const reader = response.body!.getReader();
  assert.equal(await read(reader), "data: 1\n\n");
  await clock.fire(LIMITS.sseHeartbeatMs);
  assert.equal(await read(reader), ": keep-alive\n\n");
  gate.resolve();
  assert.equal(await read(reader), "data: 2\n\n");
  assert.equal(await read(reader), undefined);
});

Deno.test("toSseResponse() lets a reader go that leaves, and one that takes nothing for sseStallMs", async () => {
  const clock = makeClock();
  const endless = async function* () {
    for (;;) yield await Promise.resolve("data: 1\n\n");
  };
  let left = 0;
  const make = () => toSseResponse(endless(), { after: clock.after, left: () => left++ }).body!;
  await make().cancel();
  assert.equal(left, 1);
  const stalled = make();
  await clock.fire(LIMITS.sseStallMs);
  assert.equal(left, 2);
  await assert.rejects(new Response(stalled).text(), /takes nothing/);
});

Deno.test("toSseResponse() ends a source that waits with what nobody took: what it holds is let go", async () => {
  const clock = makeClock();
  let open = 0;
  const endless = async function* () {
    open++;
    try {
      for (;;) yield await Promise.resolve("data: 1\n\n");
    } finally {
      open--;
    }
  };
  const make = () => toSseResponse(endless(), { after: clock.after, left: () => {} }).body!;
  const left = make();
  const stalled = make();
  await clock.fire(LIMITS.sseStallMs);
  await clock.fire(LIMITS.sseStallMs);
  await assert.rejects(new Response(stalled).text());
  await left.cancel().catch(() => {});
  const gone = make();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(open, 1);
  await gone.cancel();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(open, 0);
});
