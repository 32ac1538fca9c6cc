/** Clients of the doors that leave, or read slowly: what happens to their turn, and to what they are told. */
import assert from "node:assert/strict";
import { once } from "../fixture/once.ts";
import { type House, openHouse } from "./house.ts";
import { chat, readEvents } from "./door_house.ts";
import { delta, stored, turnDone, userMessage } from "./scripted_source.ts";

async function begin(house: House, stream: boolean, headers: Record<string, string> = {}) {
  const left = new AbortController();
  const asking = fetch(`http://127.0.0.1:${house.port}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(chat("x", { stream })),
    headers: { authorization: `Bearer ${house.token}`, "content-type": "application/json", ...headers },
    signal: left.signal,
  });
  const turn = await house.source.next();
  await turn.emit(userMessage("x"));
  await turn.emit(stored("model_request", {} as never, 2));
  await turn.emit(delta("one"));
  const leave = async () => {
    if (stream) await asking;
    left.abort();
    await asking.catch(() => {});
  };
  return { leave, asking, turn };
}

for (const stream of [false, true]) {
  Deno.test(`a client that leaves cancels its turn, one with a key does not: ${stream ? "streamed" : "not streamed"}`, async () => {
    await using house = await openHouse();
    const keyed = await begin(house, stream, { "idempotency-key": "k" });
    const bare = await begin(house, stream);
    await keyed.leave();
    await bare.leave();
    await once(bare.turn.signal);
    assert.equal(bare.turn.signal.reason, "the client left");
    assert.equal(keyed.turn.signal.aborted, false);
    await bare.turn.finish(stored("turn_cancelled", { reason: "the client left", steps: 1 }, 3));
    await keyed.turn.finish({ ...turnDone("one"), seq: 3 } as never);
  });
}

Deno.test("a stream that is read slowly has the whole text in the end, and holds up nobody", async () => {
  await using house = await openHouse();
  const { asking, turn } = await begin(house, true);
  const piece = "y".repeat(4_096);
  const count = 6_000;
  // Far beyond what sockets hold; nobody reads.
  for (let at = 0; at < count; at++) await turn.emit(delta(piece));
  await turn.emit(stored("model_result", { text: `one${piece.repeat(count)}`, toolCalls: [] } as never, 3));
  await turn.finish({ ...turnDone("y"), seq: 4 } as never);
  let length = 0;
  let events = 0;
  for await (const { data } of readEvents(await asking)) {
    if (data === "[DONE]") break;
    length += JSON.parse(data!).choices[0].delta.content?.length ?? 0;
    events++;
  }
  assert.equal(length, "one".length + piece.length * count);
  assert.ok(events < count, `${events} events: none was left out`);
});

Deno.test("a client that reads nothing of its stream and then leaves cancels its turn as well", async () => {
  await using house = await openHouse();
  const { leave, turn } = await begin(house, true);
  // Far beyond what sockets hold, so that a piece waits to be taken.
  for (let at = 0; at < 6_000; at++) await turn.emit(delta("y".repeat(4_096)));
  await leave();
  await once(turn.signal);
  assert.equal(turn.signal.reason, "the client left");
  await turn.finish(stored("turn_cancelled", { reason: "the client left", steps: 1 }, 3));
});
