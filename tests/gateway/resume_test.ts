import assert from "node:assert/strict";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { Hub, type Outlet, type Subscriber } from "#/gateway/hub.ts";
import { type ResumeDeps, runResume } from "#/gateway/resume.ts";
import { toKnows } from "#/gateway/server_frame.ts";
import { toTurnFrames } from "#/gateway/turn_frames.ts";
import { type Frame, openHouse } from "./house.ts";
import { delta, NEVER_PARKS, stored, userMessage } from "./scripted_source.ts";

const session = { user_id: "ann", session_id: "s" };
const OURS = ["turn_events", "approvals"];

/** A socket that is read when a test says so. */
class Reader implements Outlet {
  bufferedAmount = 0;
  readyState: number = WebSocket.OPEN;
  readonly frames: Frame[] = [];
  /** Bytes that each frame leaves unread. */
  unread = 0;
  send(text: string): void {
    this.frames.push(JSON.parse(text));
    this.bufferedAmount += this.unread;
  }
  close(): void {
    this.readyState = WebSocket.CLOSED;
  }
}

/** A log of `count` recorded messages of one session. */
function toLog(count: number) {
  const events = Array.from(
    { length: count },
    (_, at) => ({ ...userMessage(`m${at + 1}`), seq: at + 1, session: "s" }),
  );
  const reads: number[] = [];
  const log: ResumeDeps["log"] = {
    read(_session, { fromSeq, limit }) {
      reads.push(limit);
      return Promise.resolve(events.filter(({ seq }) => seq >= fromSeq).slice(0, limit));
    },
    blob: () => Promise.resolve(new Uint8Array([1])),
  };
  return { events, reads, log };
}

function toClient(outlet: Outlet, from: number, knows = toKnows(OURS)): Subscriber {
  return { outlet, knows, catchUp: { seen: from, heldSeq: 0, isLive: false } };
}

const positions = (frames: readonly Frame[]) =>
  frames.filter(({ type, payload }) => type === "turn_event" && payload.event.seq !== undefined)
    .map(({ payload }) => payload.event.seq);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

Deno.test("runResume() tells what comes after the position, in pages, and then that it is all", async () => {
  const hub = new Hub();
  const outlet = new Reader();
  const { log, reads } = toLog(LIMITS.resumePageEventsMax * 2 + 1);
  const client = toClient(outlet, 3);
  const deps = { hub, log, turns: { running: () => undefined }, delay: () => Promise.resolve() };
  await runResume(client, { request_id: "r", session, from: 3 }, deps, new AbortController().signal);
  const last = LIMITS.resumePageEventsMax * 2 + 1;
  assert.deepEqual(positions(outlet.frames), range(4, last));
  assert.ok(reads.every((limit) => limit <= LIMITS.resumePageEventsMax), String(reads));
  assert.deepEqual(outlet.frames.at(-1), { type: "resumed", payload: { request_id: "r", session, to_seq: last } });
  assert.ok(outlet.frames.slice(0, -1).every(({ payload }) => payload.request_id === "r"));
});

Deno.test("runResume() has no gap and no double at the seam, wherever the log grows meanwhile", async () => {
  for (let at = 0; at < 12; at++) {
    const hub = new Hub();
    const outlet = new Reader();
    const { events, log } = toLog(5);
    const client = toClient(outlet, 0);
    hub.attach("s", client);
    let seq = 5;
    let awaits = 0;
    // Recorded, then published; once the client has been told of it by the log before it is published.
    const grow = (isLate: boolean) => {
      const event = { ...userMessage(`m${++seq}`), seq, session: "s" };
      events.push(event);
      const publish = () =>
        hub.publish("s", toTurnFrames(event, { request_id: "", session, turn: { turn_id: "t", state: "running" } }));
      if (isLate) late.push(publish);
      else publish();
    };
    const late: (() => void)[] = [];
    const step = () => {
      if (awaits++ === at) {
        grow(false);
        grow(true);
      }
    };
    const deps: ResumeDeps = {
      hub,
      turns: { running: () => undefined },
      log: {
        ...log,
        async read(...args) {
          step();
          const page = await log.read(...args);
          step();
          return page;
        },
      },
      delay: () => Promise.resolve(step()),
    };
    await runResume(client, { request_id: "r", session, from: 0 }, deps, new AbortController().signal);
    for (const publish of late) publish();
    grow(false);
    assert.deepEqual(positions(outlet.frames), range(1, seq), `grown at ${at}`);
  }
});

Deno.test("runResume() reads on only when the client has read, ends when it is gone, and never floods it", async () => {
  const hub = new Hub();
  const outlet = new Reader();
  outlet.unread = LIMITS.resumeQueueBytesMax;
  const { log, reads } = toLog(1_000);
  let waits = 0;
  const deps: ResumeDeps = {
    hub,
    log,
    turns: { running: () => undefined },
    delay: (ms) => {
      if (ms > 0 && ++waits === 5) outlet.close();
      else if (ms > 0) outlet.bufferedAmount = 0;
      return Promise.resolve();
    },
  };
  const signal = new AbortController();
  const done = runResume(toClient(outlet, 0), { request_id: "r", session, from: 0 }, {
    ...deps,
    delay: async (ms) => {
      await deps.delay(ms);
      if (outlet.readyState !== WebSocket.OPEN) signal.abort();
    },
  }, signal.signal);
  await done;
  assert.ok(outlet.frames.length < 20, "two frames fill what may wait");
  assert.equal(reads.length, 1);
});

Deno.test("runResume() refuses a position that the session does not have, and lets the client see what is live", async () => {
  const { log } = toLog(3);
  const client = toClient(new Reader(), 9);
  const deps = { hub: new Hub(), log, turns: { running: () => undefined }, delay: () => Promise.resolve() };
  await assert.rejects(
    runResume(client, { request_id: "r", session, from: 9 }, deps, new AbortController().signal),
    /no event 9; resume from 0/,
  );
  assert.equal(client.catchUp, undefined);
});

Deno.test("runResume() sends media of the events that it tells, to a client that announced them", async () => {
  const blob = { sha256: "a".repeat(64), bytes: 1, mimeType: "image/png" };
  const result = {
    ...stored("model_result", {
      step: 1,
      text: "",
      toolCalls: [],
      finishReason: "stop",
      usage: {},
      media: [blob],
    }),
    seq: 1,
  };
  const log: ResumeDeps["log"] = {
    read: (_s, { fromSeq }) => Promise.resolve(fromSeq <= 1 ? [result] : []),
    blob: () => Promise.resolve(new Uint8Array([1])),
  };
  for (
    const [capabilities, types] of [
      [["turn_events", "media"], ["turn_event", "media_attachment", "resumed"]],
      [["turn_events"], ["turn_event", "resumed"]],
    ] as const
  ) {
    const outlet = new Reader();
    const client = toClient(outlet, 0, toKnows(capabilities));
    const deps = { hub: new Hub(), log, turns: { running: () => undefined }, delay: () => Promise.resolve() };
    await runResume(client, { request_id: "r", session, from: 0 }, deps, new AbortController().signal);
    assert.deepEqual(outlet.frames.map(({ type }) => type), types);
  }
});

async function append(log: EventLog, count: number, turn = "old"): Promise<void> {
  const event: NewEvent = { type: "user_message", v: 1, payload: { text: "x", channel: "tui" } };
  for (let left = count; left > 0; left -= 1_000) {
    const events = Array.from({ length: Math.min(left, 1_000) }, () => event);
    await log.append("runtime-ann", turn, events, { durability: "normal" });
  }
}

Deno.test("resume tells a client that comes back what it missed, then what the running call said, then what it says", async () => {
  await using house = await openHouse();
  await using first = await house.client({ capabilities: OURS });
  await first.next("gateway_info");
  await append(house.log, 4);
  first.turn("t");
  const turn = await house.source.next();
  await turn.emit({ ...userMessage(), seq: 5 });
  await turn.emit(delta("Hel"));
  await turn.emit(delta("lo"));
  await using back = await house.client({ capabilities: OURS, hello: { resume_from: 2 } });
  const frames = await back.until("resumed");
  assert.deepEqual(positions(frames), [3, 4]);
  assert.deepEqual(frames.at(-1)!.payload, {
    request_id: "hello",
    session: { user_id: "ann", session_id: "runtime-ann" },
    to_seq: 4,
    active_turn: { turn_id: "t", state: "running" },
    text: "Hello",
  });
  await turn.emit(delta(" you"));
  assert.equal((await back.next("turn_event")).payload.event.payload.text, " you");
  back.send("resume", { request_id: "again", session_id: "runtime-ann", from: 4 });
  const again = await back.until("resumed");
  assert.deepEqual([again.length, again[0]!.payload.text], [1, "Hello you"]);
});

Deno.test("resume is for clients that announced turn_events, in their own session, from a place that can be", async () => {
  await using house = await openHouse();
  await using plain = await house.client();
  await plain.next("hello_ack");
  plain.send("resume", { request_id: "r", session_id: "runtime-ann", from: 0 });
  assert.match((await plain.any()).payload.message, /announce `turn_events`/);
  await using ours = await house.client({ capabilities: OURS });
  await ours.next("gateway_info");
  ours.send("resume", { request_id: "r", session_id: "other", from: 0 });
  assert.match((await ours.any()).payload.message, /in another session/);
  for (const from of [-1, 1.5, "1", null]) {
    ours.send("resume", { request_id: "r", session_id: "runtime-ann", from });
    assert.match((await ours.any()).payload.message, /^resume\.from: /);
  }
  ours.send("resume", { request_id: "r", session_id: "runtime-ann", from: 7 });
  assert.match((await ours.any()).payload.message, /no event 7/);
});

Deno.test("a client 100,000 events behind gets them all in order, and neither waits for it: its own cancel and other clients", async () => {
  await using house = await openHouse({}, () =>
    Promise.resolve({
      ...NEVER_PARKS,
      async *send(message, signal) {
        yield userMessage(message.text);
        while (!signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield delta(".");
        }
        yield stored("turn_cancelled", { reason: "asked", steps: 0 }, 100_001);
      },
    }));
  await using other = await house.client({
    hello: { session_id: "o" },
    capabilities: ["turn_events", "named_sessions"],
  });
  await other.next("gateway_info");
  await using behind = await house.client({ capabilities: OURS });
  await behind.next("gateway_info");
  await append(house.log, 100_000);
  behind.send("resume", { request_id: "r", session_id: "runtime-ann", from: 0 });
  other.turn("busy", "hi", { session_id: "o" });
  await other.next("turn_started");
  behind.send("health_check", { request_id: "mid" });
  let seen = 0;
  let healthAt = -1;
  for (;;) {
    const { type, payload } = await behind.any();
    if (type === "health_status") healthAt = seen;
    if (type === "turn_event" && payload.event.seq !== undefined) assert.equal(payload.event.seq, ++seen);
    if (type === "resumed") break;
  }
  assert.equal(seen, 100_000);
  assert.ok(healthAt >= 0 && healthAt < 100_000, `its own question was answered after ${healthAt}`);
  other.send("cancel_active_turn", { request_id: "c", session_id: "o", turn_id: "" });
  const live = await other.until("turn_cancelled");
  assert.ok(live.length > 5, `${live.length} frames of the other's turn meanwhile`);
});

Deno.test("a client that resumes and sends its running turn again is told of each event once", async () => {
  await using house = await openHouse();
  const log = house.log;
  await using first = await house.client({ capabilities: OURS });
  await first.next("hello_ack");
  first.turn("t", "hi");
  const turn = await house.source.next();
  const [asked] = await log.append("runtime-ann", "t", [{
    type: "user_message",
    v: 1,
    payload: { text: "hi", channel: "tui" },
  }], { durability: "normal" });
  await turn.emit(asked!);
  await using back = await house.client({ capabilities: OURS, hello: { resume_from: 0 } });
  back.turn("t", "hi");
  const frames = await back.until("resumed");
  back.turn("t", "hi");
  frames.push(...await back.drain());
  await turn.finish({ ...stored("turn_cancelled", { reason: "x", steps: 0 }), seq: 2 });
  frames.push(...await back.until("turn_cancelled"));
  assert.equal(frames.filter(({ type }) => type === "turn_started").length, 2);
  assert.deepEqual(positions(frames), [1, 2]);
});
