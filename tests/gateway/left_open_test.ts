/** What an earlier process left behind, sent again by its client before this process has looked for it. */
import assert from "node:assert/strict";
import type { ApprovalResolution } from "#/core/capability.ts";
import type { EventLog } from "#/core/store.ts";
import { Hub } from "#/gateway/hub.ts";
import { Turns } from "#/gateway/turns.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { type BelowGateway, type Client, type Frame, openHouse } from "./house.ts";
import { sessionsOver } from "./real_sessions.ts";
import { ScriptedSource, stored, userMessage } from "./scripted_source.ts";

const PLACE = { session: "runtime-ann", turn: "t" };

async function greeted(opening: Promise<Client>): Promise<Client> {
  const client = await opening;
  await client.next("hello_ack");
  return client;
}

/** Sessions over a log with a turn that a crash cut off; they run nothing before the gate opens. */
function leftOpen(gate: Promise<void>) {
  return async (log: EventLog): Promise<BelowGateway> => {
    const row = { agent: "default", channel: "tui", displayName: null, parent: null };
    await log.ensureSession({ ...row, id: PLACE.session, user: "ann" });
    const asked = { type: "user_message", v: 1, payload: { text: "hi", channel: "tui" } } as const;
    await log.append(PLACE.session, PLACE.turn, [asked], { durability: "normal" });
    const below = await sessionsOver(scriptedProvider(says("done")))(log);
    return {
      ...below,
      async *send(...what) {
        await gate;
        yield* below.send(...what);
      },
    };
  };
}

Deno.test("a turn that a crash left open runs for everybody who watches, also when its client sends it again first", async () => {
  const gate = Promise.withResolvers<void>();
  await using house = await openHouse({}, leftOpen(gate.promise));
  await using sender = await greeted(house.client({ capabilities: ["turn_events"] }));
  await using watcher = await greeted(house.client({ capabilities: ["turn_events"] }));
  await using reference = await greeted(house.client());
  sender.turn("t", "hi");
  sender.send("health_check", { request_id: "health" });
  await sender.next("health_status");
  // As app does, once the sessions are open.
  house.resume(PLACE, undefined);
  gate.resolve();
  const ended = (await sender.until("turn_completed")).map(({ payload }) => payload.event?.seq ?? 0).filter((n) =>
    n > 0
  );
  const recorded = await house.log.turn(PLACE.session, PLACE.turn);
  assert.deepEqual(ended, recorded.map(({ seq }) => seq), "each once, to the sender");
  const seen = (await watcher.until("turn_completed")).map(({ payload }) => payload.event?.type);
  assert.ok(seen.includes("resumed") && seen.includes("turn_done"), String(seen));
  assert.ok(!seen.includes("user_message"));
  await reference.until("turn_completed");
});

class Frames {
  readonly bufferedAmount = 0;
  readonly readyState: number = WebSocket.OPEN;
  readonly frames: Frame[] = [];
  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }
  close(): void {}
}

const CARD = { id: "card", tool: { name: "x" }, lines: [], reason: "", answer: "owner", argsSha256: "", expiresAt: 0 };
const ASKED = stored("approval_asked", { callId: "c", card: CARD }, 2);
const PARKED = stored("parked", { callId: "c", reason: "" }, 3);
const ANSWER: ApprovalResolution = { id: "card", session: "s", turn: "t", callId: "c", answer: "once", by: "owner" };

for (const answer of [undefined, ANSWER]) {
  Deno.test(`a parked turn that is sent again first is looked at then, ${answer ? "with" : "without"} an answer`, async () => {
    const source = new ScriptedSource();
    const hub = new Hub();
    const told = [userMessage(), ASKED, PARKED];
    const log = { turn: () => Promise.resolve(told), blob: () => Promise.resolve(undefined) };
    const turns = new Turns({ source, log, hub, user: "ann", report: (error) => assert.fail(String(error)) });
    const client = { knows: { turnEvents: true, approvals: true, media: false }, outlet: new Frames() };
    hub.attach("s", client);
    const message = { session: "s", turn: "t", text: "hi", channel: "tui", requestId: "r", attachments: [] };
    await turns.start(client, message);
    const again = await source.next();
    turns.resume({ session: "s", turn: "t" }, undefined);
    if (answer !== undefined) turns.resume({ session: "s", turn: "t" }, answer);
    for (const event of told) await again.emit(event);
    await again.end();
    const looked = await source.next();
    assert.deepEqual(source.resumed, [answer]);
    await looked.finish(PARKED);
    await turns.stop();
    assert.deepEqual((await turns.approvals("s")).map(({ frame }) => frame.type), ["approval_request"]);
    assert.equal(turns.active("s")?.turn_id, "t");
    const seqs = client.outlet.frames.filter(({ type }) => type === "turn_event").map(({ payload }) =>
      payload.event.seq
    );
    assert.deepEqual(seqs, [1, 2, 3]);
  });
}
