import assert from "node:assert/strict";
import type { EventLog } from "#/core/store.ts";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { toFeedRoutes } from "#/gateway/feed.ts";
import { Hub } from "#/gateway/hub.ts";
import { EventQueue } from "#/gateway/event_queue.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { chat, type DoorHouse, openDoorHouse, readEvents } from "./door_house.ts";

const CHAT = "/v1/chat/completions";
const FEED = "/api/v1/sessions/mine/feed";

function say(doors: DoorHouse, text: string) {
  return doors.post(CHAT, chat(text), { headers: { "x-oxydra-session": "mine" } });
}

/** The ids of `count` recorded events of a feed. */
async function ids(events: AsyncGenerator<Record<string, string>>, count: number): Promise<number[]> {
  const all: number[] = [];
  while (all.length < count) {
    const { value, done } = await events.next();
    assert.ok(!done, `the feed ended after ${all}`);
    if (value.event === "recorded") all.push(Number(value.id));
  }
  return all;
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

Deno.test("a feed tells what is recorded, then what comes, without a gap or a double; live events have no place", async () => {
  await using doors = await openDoorHouse();
  await say(doors, "one");
  const recorded = (await doors.house.log.read("mine", { fromSeq: 1, limit: 1_000 })).length;
  const response = await doors.ask(FEED, { token: "eyes" });
  assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
  assert.match(response.headers.get("cache-control")!, /no-transform/);
  const events = readEvents(response);
  assert.deepEqual(await ids(events, recorded), upTo(1, recorded));
  const resumed = readEvents(await doors.ask(FEED, { headers: { "last-event-id": String(recorded - 1) } }));
  const later = readEvents(await doors.ask(`${FEED}?after=${recorded}`));
  await say(doors, "two");
  const all: Record<string, string>[] = [];
  while (!all.at(-1)?.["data"]?.includes("turn_done")) all.push((await events.next()).value!);
  const live = all.filter(({ event }) => event === "live").map(({ id, data }) => [id, JSON.parse(data!)]);
  assert.ok(
    live.some(([id, { type, live: flag, turn }]) => id === undefined && type === "text_delta" && flag && turn !== ""),
  );
  const own = all.filter(({ event }) => event === "recorded").map(({ id }) => Number(id));
  assert.deepEqual(own, upTo(recorded + 1, 2 * recorded));
  assert.deepEqual(await ids(resumed, recorded + 1), upTo(recorded, 2 * recorded));
  assert.deepEqual(await ids(later, recorded), upTo(recorded + 1, 2 * recorded));
  await Promise.all([events, resumed, later].map((feed) => feed.return(undefined)));
});

Deno.test("a feed looks by itself for what nobody told it of, and reads it page by page", async () => {
  let log: EventLog;
  // A moment that is waited for comes at once, so that the feed looks into the log by itself.
  const after = (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms === LIMITS.sseHeartbeatMs ? 1 : ms);
    return () => clearTimeout(timer);
  };
  await using doors = await openDoorHouse(undefined, {
    deps: { after },
    source: (opened) => {
      log = opened;
      return Promise.resolve({
        send: async function* () {},
        resume: async function* () {},
        endParked: () => Promise.resolve([]),
        suspend: () => Promise.resolve(),
      });
    },
  });
  await log!.ensureSession({ id: "mine", user: "ann", agent: "a", channel: "tui", displayName: null, parent: null });
  const events = (count: number): NewEvent[] =>
    Array.from({ length: count }, (_, at) => ({ type: "budget", v: 1, payload: { kind: "time", used: at, limit: 1 } }));
  await log!.append("mine", "t", events(LIMITS.feedPageEventsMax), { durability: "normal" });
  const feed = readEvents(await doors.ask(FEED));
  for (let i = 0; i < 3; i++) {
    await log!.append("mine", "t", events(LIMITS.feedPageEventsMax - 1), { durability: "normal" });
  }
  const total = 4 * LIMITS.feedPageEventsMax - 3;
  assert.deepEqual((await ids(feed, total)).length, total);
  await feed.return(undefined);
});

Deno.test("a feed ends when its session does, and when the gateway closes", async () => {
  const hub = new Hub();
  const queues = [
    new EventQueue({ missed: false }),
    new EventQueue({ missed: false }),
    new EventQueue({ missed: false }),
  ];
  const stop = hub.observe("a", queues[0]!);
  hub.observe("a", queues[1]!);
  hub.observe("b", queues[2]!);
  hub.tell("a", { turn: "t", event: { type: "text_delta", payload: { text: "x" } } });
  stop();
  hub.endObservers("a");
  assert.notEqual(await queues[1]!.next(), undefined);
  assert.equal(await queues[1]!.next(), undefined);
  hub.endObservers();
  assert.equal(await queues[2]!.next(), undefined);
  const doors = await openDoorHouse();
  await say(doors, "one");
  const response = await doors.ask(FEED);
  const text = response.text();
  await doors[Symbol.asyncDispose]();
  assert.match(await text, /turn_done/);
});

Deno.test("a feed of what is not there, from no position, or beyond feedsMax is refused", async () => {
  await using doors = await openDoorHouse();
  await say(doors, "one");
  const refused = async (path: string, headers: Record<string, string> = {}) => {
    const response = await doors.ask(path, { headers });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await refused("/api/v1/sessions/other/feed"), 404);
  for (const id of ["x", "-1", "1.5", "1e99"]) assert.equal(await refused(FEED, { "last-event-id": id }), 400, id);
  assert.equal(await refused(`${FEED}?after=x`), 400);
  const [route] = toFeedRoutes({ log: doors.house.log, user: "ann", hub: new Hub(), after: () => () => {} } as never);
  const input = { params: { id: "mine" }, query: {}, caller: { id: "test", scope: "owner" }, headers: new Headers() };
  const left = new AbortController();
  const open = () => route!.run({ ...input, body: undefined, signal: left.signal } as never);
  const feeds = await Promise.all(Array.from({ length: LIMITS.feedsMax }, open)) as Response[];
  await assert.rejects(open(), { code: "queue_full" });
  left.abort();
  await Promise.all(feeds.map((feed) => feed.text()));
  await (await open() as Response).text();
});

Deno.test("one token that is no owner's has at most connectionsPerTokenMax feeds: the others are the person's", async () => {
  await using doors = await openDoorHouse();
  await say(doors, "one");
  const [route] = toFeedRoutes({ log: doors.house.log, user: "ann", hub: new Hub(), after: () => () => {} } as never);
  const left = new AbortController();
  const open = (id: string, scope: string) => {
    const input = { params: { id: "mine" }, query: {}, caller: { id, scope }, headers: new Headers() };
    return route!.run({ ...input, body: undefined, signal: left.signal } as never) as Promise<Response>;
  };
  const feeds = await Promise.all(Array.from({ length: LIMITS.connectionsPerTokenMax }, () => open("eyes", "read")));
  await assert.rejects(open("eyes", "read"), { code: "queue_full" });
  feeds.push(await open("other", "read"), await open("test", "owner"));
  left.abort();
  await Promise.all(feeds.map((feed) => feed.text()));
  await (await open("eyes", "read")).text();
});

Deno.test("POST messages says that a message which waits is not on record: a restart loses it", async () => {
  const gate = Promise.withResolvers<never>();
  const provider = scriptedProvider(says("one"), [gate.promise], says("three"));
  await using doors = await openDoorHouse(provider);
  await say(doors, "one");
  const path = "/api/v1/sessions/mine/messages";
  assert.equal((await doors.post(path, { text: "two", turn_id: "t2" })).body.recorded, true);
  assert.deepEqual((await doors.post(path, { text: "three", turn_id: "t3" })).body, {
    session_id: "mine",
    turn_id: "t3",
    recorded: false,
  });
  gate.resolve({ type: "text", text: "done" } as never);
});

Deno.test("POST messages starts a turn, answers 202, and takes the same turn id once", async () => {
  const gate = Promise.withResolvers<never>();
  const provider = scriptedProvider(says("one"), [gate.promise]);
  await using doors = await openDoorHouse(provider, { lanes: { runningMax: 1, queuedMax: 0 } });
  await say(doors, "one");
  const path = "/api/v1/sessions/mine/messages";
  const first = await doors.post(path, { text: "two", turn_id: "t2" });
  assert.deepEqual([first.status, first.body], [202, { session_id: "mine", turn_id: "t2", recorded: true }]);
  assert.equal((await doors.post(path, { text: "two" }, { headers: { "idempotency-key": "t2" } })).status, 202);
  assert.equal((await doors.post(path, { text: "other", turn_id: "t2" })).status, 409);
  // Its place is taken and nobody may wait: refused, and nothing is left behind.
  assert.equal((await doors.post(path, { text: "three" })).status, 429);
  assert.equal((await doors.post(path, { text: " " })).status, 400);
  assert.equal((await doors.post(path, { text: "x", attachments: [{ mime_type: "no", data: "" }] })).status, 400);
  assert.equal((await doors.post("/api/v1/sessions/none/messages", { text: "x" })).status, 404);
  const feed = readEvents(await doors.ask(FEED));
  gate.resolve({ type: "text", text: "done" } as never);
  for await (const { data } of feed) if (data!.includes('"turn":"t2"') && data!.includes("turn_done")) break;
  assert.equal(provider.requests.length, 2);
});
