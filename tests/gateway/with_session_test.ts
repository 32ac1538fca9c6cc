import assert from "node:assert/strict";
import type { SessionEvent } from "#/core/event.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { scriptedProvider } from "../fake/scripted_provider.ts";
import { type Client, type Frame, openHouse } from "./house.ts";
import { sessionsOver } from "./real_sessions.ts";

/** A model that says one word, then waits to be let on. */
function gatedProvider() {
  const gate = Promise.withResolvers<ModelEvent>();
  const provider = scriptedProvider([{ type: "text", text: "one " }, gate.promise], [{ type: "text", text: "later" }]);
  return { provider, open: () => gate.resolve({ type: "text", text: "two" }) };
}

const eventsOf = (frames: readonly Frame[]): SessionEvent[] =>
  frames.filter((frame) => frame.type === "turn_event").map((frame) => frame.payload.event);

async function greeted(opening: Promise<Client>): Promise<Client> {
  const client = await opening;
  await client.next("hello_ack");
  return client;
}

Deno.test("a message goes through a real session: what clients see is what the log holds", async () => {
  await using house = await openHouse(
    {},
    sessionsOver(scriptedProvider([
      { type: "text", text: "hel" },
      { type: "text", text: "lo" },
      { type: "usage", usage: { promptTokens: 3, completionTokens: 2, totalTokens: 5 } },
    ])),
  );
  await using own = await greeted(house.client({ capabilities: ["turn_events"] }));
  await using reference = await greeted(house.client());
  reference.turn("t", "say hello");
  const seen = await reference.until("turn_completed");
  assert.deepEqual(seen.map((frame) => frame.type), [
    "turn_started",
    "turn_progress",
    "assistant_delta",
    "assistant_delta",
    "turn_completed",
  ]);
  assert.deepEqual(seen.at(-1)?.payload.response, {
    message: { role: "assistant", content: "hello" },
    finish_reason: "stop",
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  });
  const recorded = eventsOf(await own.until("turn_completed")).filter((event) => "seq" in event);
  assert.deepEqual(recorded, await house.log.turn("runtime-ann", "t"));
});

Deno.test("a second message waits for the first, and starts when that has ended", async () => {
  const { provider, open } = gatedProvider();
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await greeted(house.client());
  client.turn("a");
  await client.next("assistant_delta");
  client.turn("b");
  assert.deepEqual(await client.drain(), [], "nothing yet of b");
  open();
  const frames = [...await client.until("turn_completed"), ...await client.until("turn_completed")];
  const turnOf = (type: Frame["type"]) =>
    frames.filter((frame) => frame.type === type).map((f) => f.payload.turn.turn_id);
  assert.deepEqual(turnOf("turn_started"), ["b"]);
  assert.deepEqual(turnOf("turn_completed"), ["a", "b"]);
  assert.equal(
    frames.findIndex((f) => f.type === "turn_completed") < frames.findIndex((f) => f.type === "turn_started"),
    true,
  );
});

Deno.test("cancel ends the running turn and the queued one; the record says who asked", async () => {
  const { provider } = gatedProvider();
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await greeted(house.client());
  client.turn("a");
  await client.next("assistant_delta");
  client.turn("b");
  client.send("cancel_active_turn", { request_id: "c", session_id: "runtime-ann", turn_id: "b" });
  const queued = await client.until("turn_cancelled");
  assert.deepEqual(queued.map((frame) => frame.type), ["turn_cancelled"], "b never started");
  assert.equal(queued[0]?.payload.turn.turn_id, "b");
  client.send("cancel_active_turn", { request_id: "c", session_id: "runtime-ann", turn_id: "" });
  assert.equal((await client.next("turn_cancelled")).payload.turn.turn_id, "a");
  const end = (await house.log.turn("runtime-ann", "a")).at(-1);
  assert.ok(end?.type === "turn_cancelled");
  assert.equal(end.payload.reason, "cancelled by a client");
  client.turn("c");
  assert.equal((await client.next("turn_completed")).payload.response.message.content, "later");
});

Deno.test("more messages than may wait are refused, with their request id; the others are answered", async () => {
  const { provider, open } = gatedProvider();
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await greeted(house.client({ capabilities: ["turn_events"] }));
  for (const turn of ["a", "b", "c", "d"]) client.turn(turn);
  const { payload } = await client.next("error");
  assert.deepEqual([payload.request_id, payload.code, payload.turn], ["r-d", "queue_full", undefined]);
  open();
  for (const turn of ["a", "b", "c"]) assert.equal((await client.next("turn_completed")).payload.turn.turn_id, turn);
});

Deno.test("the same turn again is answered from the record, to its sender alone, and the model is not asked", async () => {
  const provider = scriptedProvider([{ type: "text", text: "once" }]);
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await greeted(house.client({ capabilities: ["turn_events"] }));
  client.turn("t");
  const first = eventsOf(await client.until("turn_completed")).filter((event) => "seq" in event);
  await using again = await greeted(house.client({ capabilities: ["turn_events"] }));
  await again.next("gateway_info");
  again.turn("t", "hi", { request_id: "again" });
  const frames = await again.until("turn_completed");
  assert.deepEqual(eventsOf(frames), first);
  assert.equal(frames.every((frame) => frame.payload.request_id === "again"), true);
  assert.equal(provider.requests.length, 1);
  assert.deepEqual(await client.drain(), []);
  again.turn("t", "something else");
  assert.equal((await again.next("error")).payload.code, "turn_conflict");
});

Deno.test("the same turn from two clients at once runs once, and both see it end", async () => {
  const { provider, open } = gatedProvider();
  await using house = await openHouse({}, sessionsOver(provider));
  await using one = await greeted(house.client());
  await using two = await greeted(house.client());
  one.turn("t");
  two.turn("t");
  await Promise.all([one.next("assistant_delta"), two.next("assistant_delta")]);
  open();
  await Promise.all([one.next("turn_completed"), two.next("turn_completed")]);
  assert.equal(provider.requests.length, 1);
});

Deno.test("a provider that fails is an error frame with the turn failed; the session stays usable", async () => {
  const provider = scriptedProvider(
    [{ type: "failed", code: "provider_auth", message: "the key was refused", retryable: false }],
    [{ type: "text", text: "fine" }],
  );
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await greeted(house.client({ capabilities: ["turn_events"] }));
  client.turn("a");
  const frames = await client.until("error");
  assert.equal(
    eventsOf(frames).at(-1)?.type,
    "turn_failed",
    "the event comes before the frame that the reference knows",
  );
  const { payload } = frames.at(-1)!;
  assert.deepEqual([payload.message, payload.code, payload.turn], [
    "the key was refused",
    "provider_auth",
    { turn_id: "a", state: "failed" },
  ]);
  client.turn("b");
  assert.equal((await client.next("turn_completed")).payload.response.message.content, "fine");
});

Deno.test("close() in mid-turn lets the reply come to its end, and records nothing behind it", async () => {
  const { provider, open } = gatedProvider();
  await using house = await openHouse({}, sessionsOver(provider));
  const client = await greeted(house.client());
  client.turn("t");
  await client.next("assistant_delta");
  const closing = house.listener.close();
  open();
  await closing;
  // It came to its end in time.
  assert.equal((await house.log.turn("runtime-ann", "t")).at(-1)?.type, "turn_done");
  assert.equal((await client.next("turn_completed")).payload.response.message.content, "one two");
  await client.closed;
});
