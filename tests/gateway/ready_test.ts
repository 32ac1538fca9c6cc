import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { chat } from "./door_house.ts";
import { openHouse } from "./house.ts";
import { delta, stored, userMessage } from "./scripted_source.ts";

async function ready(port: number, init: RequestInit = {}) {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`, init);
  return { status: response.status, body: await response.json() };
}

Deno.test("/readyz is 200 when a turn could run, else 503 with what is missing, and needs no token", async () => {
  const lacking = ["the model is not open yet"];
  await using house = await openHouse({ lacking: () => lacking });
  assert.deepEqual(await ready(house.port), {
    status: 503,
    body: { status: "not ready", reasons: ["the model is not open yet"] },
  });
  lacking.pop();
  assert.deepEqual(await ready(house.port), { status: 200, body: { status: "ready", reasons: [] } });
  assert.equal((await ready(house.port, { headers: { origin: "http://evil.example" } })).status, 403);
});

Deno.test("/readyz says that the store does not answer, and nothing of what it said", async () => {
  const log = { session: () => Promise.reject(new AppError("store_failed", "the file log.db of ann is broken")) };
  await using house = await openHouse({ log: log as never });
  const { status, body } = await ready(house.port);
  assert.deepEqual([status, body.reasons], [503, ["the event log does not answer"]]);
});

Deno.test("a gateway that closes is not ready and takes no request; a stream that runs is told how it ended", async () => {
  await using house = await openHouse();
  const { port, token, source, listener } = house;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const body = JSON.stringify({ ...chat("x", { stream: true }) });
  const asking = fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", body, headers });
  const turn = await source.next();
  await turn.emit(userMessage("x"));
  await turn.emit(delta("half"));
  const text = (await asking).text();
  const closing = listener.close("cancel");
  assert.deepEqual((await ready(port)).body.reasons, ["the gateway is closing"]);
  const late = await fetch(`http://127.0.0.1:${port}/v1/models`, { headers });
  assert.deepEqual([late.status, (await late.json()).error.message], [503, "the gateway is closing"]);
  await turn.finish(stored("turn_cancelled", { reason: "the gateway is closing", steps: 1 }, 2));
  await closing;
  assert.match(await text, /"code":"cancelled"[^]*data: \[DONE\]/);
});

Deno.test("a gateway that is drained is not ready: it takes no new turn", async () => {
  await using house = await openHouse();
  await house.drain();
  assert.deepEqual(await ready(house.port), {
    status: 503,
    body: { status: "not ready", reasons: ["the gateway restarts"] },
  });
});
