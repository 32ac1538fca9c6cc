import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Wire } from "#/provider/wire.ts";
import { answer, pause, ping, raw, reply, text } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";

function openWire(signal = new AbortController().signal, idleMs = 5_000, silenceMs?: number): Wire {
  const context = {
    name: "acme",
    model: "m",
    what: "chat completion",
    where: "here",
    keySource: "K",
    key: "sk-1",
    now: 0,
  };
  return new Wire(
    { fetch, headers: { authorization: "Bearer sk-1" }, context, idleMs, silenceMs, timeoutMs: 10_000 },
    signal,
  );
}

Deno.test("Wire passes a stream on, bytes unchanged", async () => {
  const vendor = await startFakeOpenAi(() => reply([text("Grüße")], { fragmentBytes: 1 }));
  const wire = openWire();
  const response = await wire.fetch(`${vendor.url}/chat/completions`, { body: '{"messages":[]}' });
  const body = await response.text();
  assert.ok(body.includes("Grüße") && body.endsWith("data: [DONE]\n\n"));
  assert.equal(wire.isDone, false);
  wire.sawDone();
  assert.equal(wire.isDone, true);
  assert.equal(wire.failure(), undefined);
  wire.close();
  await vendor.close();
});

Deno.test("Wire reads a bounded part of an error body", async () => {
  const long = JSON.stringify({ error: { trace: "t".repeat(LIMITS.providerErrorBytesMax), message: "unread" } });
  const vendor = await startFakeOpenAi(() => answer(500, long));
  const wire = openWire();
  await assert.rejects(wire.fetch(`${vendor.url}/chat/completions`, { body: '{"messages":[]}' }));
  assert.equal(wire.failure()?.message, "acme is not available (500)");
  wire.close();
  await vendor.close();
});

Deno.test("Wire waits a short time only once the reply is complete", async () => {
  const silent = reply([text("x"), raw("")], { done: false, ending: "hang" });
  const vendor = await startFakeOpenAi(() => silent);
  const idleMs = 60_000;
  const wire = openWire(new AbortController().signal, idleMs);
  const response = await wire.fetch(`${vendor.url}/chat/completions`, { body: '{"messages":[]}' });
  const startedAt = performance.now();
  wire.expectEnd();
  await assert.rejects(response.text());
  assert.ok(performance.now() - startedAt < idleMs, "the silence of a running reply would have been waited for");
  assert.equal(wire.failure()?.code, "provider_timeout");
  wire.close();
  await vendor.close();
});

Deno.test("Wire says cancelled when the outer signal fired, whatever else broke", async () => {
  const controller = new AbortController();
  const wire = openWire(controller.signal);
  controller.abort();
  assert.equal(wire.signal.aborted, true);
  await assert.rejects(wire.fetch("http://127.0.0.1:1/", { body: "{}" }));
  assert.equal(wire.failure(new Error("other"))?.code, "cancelled");
  wire.close();
});

Deno.test("Wire ends a call whose bytes never make an event", () => {
  const wire = openWire();
  wire.sawBytes(LIMITS.providerEventBytesMax);
  wire.sawEvent();
  wire.sawBytes(LIMITS.providerEventBytesMax);
  assert.equal(wire.signal.aborted, false);
  wire.sawBytes(1);
  assert.equal(wire.signal.aborted, true);
  assert.equal(wire.failure()?.code, "provider_protocol");
  wire.close();
});

Deno.test("Wire ends a stream without an event for silenceMs, whatever keeps its connection open", async () => {
  const pings = Array.from({ length: 200 }, () => [...ping(), ...pause(20)]).flat();
  const vendor = await startFakeOpenAi(() => reply([pings], { ending: "hang" }));
  const read = async (hasEvents: boolean): Promise<string | undefined> => {
    const wire = openWire(undefined, 60_000, 200);
    const response = await wire.fetch(`${vendor.url}/chat/completions`, { body: '{"messages":[]}' });
    const chunks = response.body!.getReader();
    try {
      for (let at = 0; at < 20; at++) {
        const { value } = await chunks.read();
        wire.sawBytes(value!.length);
        if (hasEvents) wire.sawEvent();
      }
    } catch {
      // The failure says what happened.
    } finally {
      wire.close();
    }
    return wire.failure()?.message;
  };
  assert.equal(await read(false), "acme at here sent nothing for 0.2 s.");
  assert.equal(await read(true), undefined, "each event begins a new silence");
  await vendor.close();
});
