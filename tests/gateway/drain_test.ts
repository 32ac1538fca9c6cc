/** A gateway before its restart: what runs ends, what waits is sent again, and who comes back is told what it missed. */
import assert from "node:assert/strict";
import type { SessionEvent } from "#/core/event.ts";
import type { ModelEvent } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import { openSessions } from "#/session/session.ts";
import { scriptedProvider } from "../fake/scripted_provider.ts";
import { toSendDeps } from "../session/session_kit.ts";
import { type Client, openHouse } from "./house.ts";

/** Real sessions over a model that says "one ", waits to be let on, and says "two". */
function gated() {
  const gate = Promise.withResolvers<ModelEvent>();
  const provider = scriptedProvider([{ type: "text", text: "one " }, gate.promise], [{ type: "text", text: "later" }]);
  const toSource = async (log: EventLog): Promise<TurnSource> => {
    const lanes = { runningMax: 10, queuedMax: 5 };
    const sessions = await openSessions({ log, lanes, now: Date.now, report: (error) => assert.fail(String(error)) });
    const principal = { user: "ann", agent: ["default"], origin: "channel" } as const;
    const deps = () => toSendDeps(provider, undefined, { principal });
    return {
      send: (message, signal) => sessions.send(message, deps(), signal),
      resume: (place, answer, signal) => sessions.resume(place, answer, deps(), signal),
      endParked: ({ session, turn }, reason) => sessions.endParked(session, turn, reason),
      suspend: () => sessions.stop("suspend", "the gateway is closing"),
    };
  };
  return { toSource, letOn: () => gate.resolve({ type: "text", text: "two" }) };
}

async function greeted(opening: Promise<Client>): Promise<Client> {
  const client = await opening;
  await client.next("hello_ack");
  return client;
}

/** Waits until a piece of text is shown. */
async function text(client: Client): Promise<void> {
  for (;;) if ((await client.next("turn_event")).payload.event.type === "text_delta") return;
}

/** The events from now to the end of a turn. */
async function toEnd(client: Client): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  while (events.at(-1)?.type !== "turn_done") events.push((await client.next("turn_event")).payload.event);
  return events;
}

Deno.test("drain() lets what runs end, has what waits and what comes sent again, and resolves then", async () => {
  const { toSource, letOn } = gated();
  const counts: number[] = [];
  await using house = await openHouse({ onTurns: (count) => counts.push(count) }, toSource);
  await using client = await greeted(house.client({ capabilities: ["turn_events"] }));
  client.turn("running", "first");
  await text(client);
  client.turn("waiting", "second");
  client.turn("waiting too", "third");
  // A frame that is obeyed after those.
  client.send("health_check", { request_id: "health" });
  await client.next("health_status");
  let isDrained = false;
  const drained = house.drain().then(() => isDrained = true);
  const refused = [await client.next("error"), await client.next("error")];
  client.turn("late", "fourth");
  refused.push(await client.next("error"));
  for (const { payload } of refused) {
    assert.deepEqual([payload.code, /send this again/.test(payload.message)], ["gateway_restarting", true]);
    assert.equal(payload.turn, undefined);
  }
  assert.ok(!isDrained);
  letOn();
  await drained;
  assert.equal((await house.log.turn("runtime-ann", "running")).at(-1)!.type, "turn_done");
  await drained;
  for (const turn of ["waiting", "waiting too", "late"]) {
    assert.deepEqual(await house.log.turn("runtime-ann", turn), []);
  }
  assert.deepEqual([Math.max(...counts), counts.at(-1)], [3, 0]);
});

Deno.test("a turn that is sent again while it runs is told from its beginning to the one who lost it, and to nobody else", async () => {
  const { toSource, letOn } = gated();
  await using house = await openHouse({}, toSource);
  await using lost = await greeted(house.client({ capabilities: ["turn_events"] }));
  await using other = await greeted(house.client({ capabilities: ["turn_events"] }));
  lost.turn("t", "first");
  await text(lost);
  await text(other);
  lost.socket.close();
  await lost.closed;
  await using back = await greeted(house.client({ capabilities: ["turn_events"] }));
  back.turn("t", "another text");
  assert.equal((await back.next("error")).payload.code, "turn_conflict");
  back.turn("t", "first");
  await back.next("turn_started");
  letOn();
  const seen = await toEnd(back);
  const recorded = await house.log.turn("runtime-ann", "t");
  const stored = seen.filter((event) => "seq" in event);
  assert.deepEqual(stored, recorded);
  assert.ok(!(await toEnd(other)).some(({ type }) => type === "user_message"));
});
