import assert from "node:assert/strict";
import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { Cdp, type CdpEvent, toMessages } from "#/sandbox/browser_cdp.ts";

const encoder = new TextEncoder();
const all = async (chunks: readonly Uint8Array[]) => await Array.fromAsync(toMessages(toStream(chunks)));
async function* toStream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* await Promise.resolve(chunks);
}

Deno.test("toMessages() finds the messages in chunks that are cut anywhere, also inside a character", async () => {
  const bytes = encoder.encode('{"a":"é"}\0\0{"b":1}\0half');
  for (const size of [1, 2, 7, bytes.length]) {
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, at) => bytes.subarray(at * size, (at + 1) * size),
    );
    assert.deepEqual(await all(chunks), ['{"a":"é"}', "", '{"b":1}'], `${size}`);
  }
});

Deno.test("toMessages() refuses a message over browserMessageBytesMax, and takes one that has just as many bytes", async () => {
  const chunk = new Uint8Array(LIMITS.browserMessageBytesMax / 4).fill(97);
  const [message] = await all([chunk, chunk, chunk, chunk, Uint8Array.of(0)]);
  assert.equal(message!.length, LIMITS.browserMessageBytesMax);
  await assert.rejects(all([chunk, chunk, chunk, chunk, Uint8Array.of(97)]), { code: "frame_too_large" });
});

/** A browser that answers what the function says. */
function openFake(answer: (asked: { id: number; method: string; sessionId?: string }) => unknown) {
  const events: CdpEvent[] = [];
  const queue = new TransformStream<string, string>({}, { highWaterMark: 99 }, { highWaterMark: 99 });
  const writer = queue.writable.getWriter();
  const say = (value: unknown) => void writer.write(typeof value === "string" ? value : JSON.stringify(value));
  const cdp = new Cdp({
    send(message) {
      const said = answer(JSON.parse(message));
      if (said !== undefined) say(said);
    },
    receive: () => queue.readable,
  }, (event) => events.push(event));
  return { cdp, events, say, end: () => writer.close() };
}

const result = z.object({ ok: z.boolean() });
const ended = { code: "tool_crashed", message: "The browser has ended; the next navigate starts a new one" };

Deno.test("Cdp.send() gives each question its own answer, and says what went wrong", async () => {
  const fake = openFake(({ id, method }) => {
    if (method === "Good") return { id, result: { ok: true } };
    if (method === "Bad") return { id, error: { code: 1, message: "No such thing" } };
    if (method === "Odd") return { id, result: { ok: "yes" } };
  });
  const ask = (method: string, timeoutMs = 60_000) => fake.cdp.send(method, {}, { result, timeoutMs });
  assert.deepEqual(await ask("Good"), { ok: true });
  await assert.rejects(ask("Bad"), { code: "tool_failed", message: "No such thing" });
  await assert.rejects(ask("Odd"), { code: "protocol" });
  await assert.rejects(ask("Silent", 1), { code: "tool_timeout" });
  fake.say({ id: 4, result: {} });
  fake.say({ method: "Page.happened", params: { a: 1 }, sessionId: "s" });
  fake.say({ method: "Bare" });
  assert.deepEqual(await ask("Good"), { ok: true });
  assert.deepEqual(fake.events, [{ method: "Page.happened", params: { a: 1 }, sessionId: "s" }, {
    method: "Bare",
    params: undefined,
  }]);
  const waiting = ask("Silent");
  await fake.end();
  await assert.rejects(waiting, ended);
  await fake.cdp.closed;
  await assert.rejects(ask("Good"), ended);
});

Deno.test("Cdp.lost() fails what waits for that session, and nothing else", async () => {
  const fake = openFake(() => undefined);
  const ask = (sessionId: string | undefined) => fake.cdp.send("Silent", {}, { result, sessionId, timeoutMs: 60_000 });
  const [one, other] = [ask("one"), ask("other")];
  fake.cdp.lost("one");
  await assert.rejects(one, { code: "tool_crashed", message: "The page has crashed or was closed" });
  await fake.end();
  await assert.rejects(other, ended);
});

Deno.test("Cdp: what is no message of a browser ends the connection", async () => {
  for (const text of ["", "[]", "{", '{"id":"1"}', '{"id":1,"error":"no"}', "null"]) {
    const fake = openFake(() => undefined);
    const waiting = fake.cdp.send("Silent", {}, { result });
    fake.say(text);
    await assert.rejects(waiting, ended, text);
    await fake.cdp.closed;
  }
});
