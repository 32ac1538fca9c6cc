import assert from "node:assert/strict";
import { endWhen } from "#/gateway/stream_end.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("endWhen() passes a stream on as it is, and says when it is over", async () => {
  let ended = 0;
  const source = ReadableStream.from([bytes("data: a\n\n"), bytes("data: b\n\n")]);
  const response = new Response(source, { status: 201, headers: { "content-type": "text/event-stream" } });
  const made = endWhen(response, new AbortController().signal, () => ended++);
  assert.deepEqual([made.status, made.headers.get("content-type")], [201, "text/event-stream"]);
  assert.equal(await made.text(), "data: a\n\ndata: b\n\n");
  assert.equal(ended, 1);
  endWhen(new Response(null), new AbortController().signal, () => ended++);
  assert.equal(ended, 2);
});

Deno.test("endWhen() ends an idle stream with a last event that says why, and lets its source go", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes("data: a\n\n")),
    cancel: (reason) => cancelled.resolve(reason),
  });
  const end = new AbortController();
  let ended = 0;
  const reader = endWhen(new Response(source), end.signal, () => ended++).body!.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "data: a\n\n");
  const waiting = reader.read();
  end.abort();
  assert.match(
    new TextDecoder().decode((await waiting).value),
    /^event: error\ndata: \{"error":\{"code":"gateway_refused"/,
  );
  assert.equal((await reader.read()).done, true);
  assert.equal(await cancelled.promise, "revoked");
  assert.equal(ended, 1);
});

Deno.test("endWhen() lets the source go when the reader leaves, and an end after that does nothing", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const source = new ReadableStream<Uint8Array>({ cancel: (reason) => cancelled.resolve(reason) });
  const end = new AbortController();
  let ended = 0;
  await endWhen(new Response(source), end.signal, () => ended++).body!.cancel("left");
  assert.equal(await cancelled.promise, "left");
  end.abort();
  assert.equal(ended, 1);
});

Deno.test("endWhen() passes nothing on of a stream whose token is gone already", async () => {
  const source = ReadableStream.from([new TextEncoder().encode("data: a\n\n")]);
  assert.match(await endWhen(new Response(source), AbortSignal.abort(), () => {}).text(), /^event: error\n/);
});

Deno.test("endWhen() says that a stream is over which breaks off", async () => {
  let ended = 0;
  const body = new ReadableStream({ pull: () => Promise.reject(new Error("broken")) });
  const response = endWhen(new Response(body), new AbortController().signal, () => ended++);
  await assert.rejects(response.text(), /broken/);
  assert.equal(ended, 1);
});
