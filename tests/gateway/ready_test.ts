import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { openGateway } from "#/gateway/app.ts";
import { chat, openDoorHouse } from "./door_house.ts";
import { openHouse } from "./house.ts";

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
  const log = { session: () => Promise.reject(new AppError("store_failed", "/home/ann/log.db is broken")) };
  await using house = await openHouse({ log: log as never });
  const { status, body } = await ready(house.port);
  assert.deepEqual([status, body.reasons], [503, ["the event log does not answer"]]);
});

Deno.test("a gateway that closes is not ready and takes no request; what runs is told how it ended", async () => {
  const gate = Promise.withResolvers<never>();
  const { scriptedProvider } = await import("../fake/scripted_provider.ts");
  await using doors = await openDoorHouse(scriptedProvider([{ type: "text", text: "half" }, gate.promise]));
  const { port, listener } = doors.house;
  const body = JSON.stringify(chat("x", { stream: true }));
  const response = await doors.ask("/v1/chat/completions", {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  const text = response.text();
  const keptOpen = await fetch(`http://127.0.0.1:${port}/healthz`);
  await keptOpen.body?.cancel();
  await listener.close();
  assert.match(await text, /"code":"cancelled"[^]*data: \[DONE\]/);
  assert.ok(openGateway);
});
