import assert from "node:assert/strict";
import type { ModelEvent } from "#/core/provider.ts";
import { joinDeltas, type ReplyReader, streamReply } from "#/provider/stream.ts";

/** A vendor whose events are `{ say }` and `{ end }`. */
class Parrot implements ReplyReader {
  isComplete = false;
  read(value: unknown): ModelEvent[] {
    const { say, end } = value as { say?: string; end?: boolean };
    this.isComplete ||= end === true;
    return say === undefined ? [] : [{ type: "text", text: say }];
  }
  *finish(ended: boolean): Generator<ModelEvent> {
    yield { type: "done", finishReason: ended ? "marked" : "unmarked" };
  }
}

const CONTEXT = { name: "parrot", model: "p", what: "squawk", where: "here", keySource: "K", key: "", now: 0 };

async function run(body: BodyInit, signal = new AbortController().signal, silenceMs?: number): Promise<ModelEvent[]> {
  const events: ModelEvent[] = [];
  const call = {
    request: { model: "p", messages: [], tools: [], timeoutMs: 5_000, ...(silenceMs ? { silenceMs } : {}) },
    reader: new Parrot(),
    context: CONTEXT,
    fetch: (_url: unknown, init?: RequestInit) => {
      const through = new TransformStream<Uint8Array, Uint8Array>();
      const stream = new Response(body).body!.pipeThrough(through, init?.signal ? { signal: init.signal } : {});
      return Promise.resolve(new Response(stream, { headers: { "content-type": "text/event-stream" } }));
    },
    headers: {},
    open: async (wire: { fetch: typeof fetch }) => (await wire.fetch("http://parrot.test/", { body: "{}" })).body!,
  };
  for await (const event of streamReply(call, signal)) events.push(event);
  return events;
}

Deno.test("streamReply() passes on what a reader makes, and lets it end", async () => {
  assert.deepEqual(await run('data: {"say":"a"}\n\ndata: {"say":"b"}\n\ndata: {"end":true}\n\ndata: [DONE]\n\n'), [
    { type: "text", text: "ab" },
    { type: "done", finishReason: "marked" },
  ]);
});

Deno.test("streamReply() names what the vendor serves when the stream is none", async () => {
  const [event] = await run("data: {squawk\n\n");
  assert.ok(event?.type === "failed" && event.code === "provider_protocol");
  assert.equal(event.message, "parrot sent something that is not a squawk stream.");
});

Deno.test("streamReply() ends an error inside the stream as a failure", async () => {
  const [event] = await run('data: {"error":{"code":429,"message":"slow down"}}\n\n');
  assert.ok(event?.type === "failed" && event.code === "provider_rate_limited", JSON.stringify(event));
});

Deno.test("streamReply() says cancelled when the signal has fired", async () => {
  const events = await run('data: {"say":"a"}\n\n', AbortSignal.abort());
  assert.deepEqual(events.map((event) => event.type === "failed" ? event.code : event.type), ["cancelled"]);
});

Deno.test("joinDeltas() joins neighbours of a kind and nothing else", () => {
  const t = (text: string): ModelEvent => ({ type: "text", text });
  const r = (text: string): ModelEvent => ({ type: "reasoning", text });
  assert.deepEqual(joinDeltas([r("a"), r("b"), t("c"), t("d"), r("e")]), [r("ab"), t("cd"), r("e")]);
});

Deno.test("streamReply() ends a call by silenceMs, before its first event and after it", async () => {
  for (const start of ["", 'data: {"say":"a"}\n\n']) {
    const body = new ReadableStream<Uint8Array>({
      start: (control) => control.enqueue(new TextEncoder().encode(`: ping\n\n${start}`)),
    });
    const events = await run(body, undefined, 50);
    assert.equal(events.length, start === "" ? 1 : 2);
    const end = events.at(-1)!;
    assert.ok(end.type === "failed" && end.code === "provider_timeout");
    assert.deepEqual([end.message, end.retryable], ["parrot at here sent nothing for 0.1 s.", true]);
  }
});
