import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { isStored, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { followTurn } from "#/gateway/follow.ts";
import { Hub } from "#/gateway/hub.ts";
import { checkSameMessage, endFollowers, recall, toMessage, toRunningTurn } from "#/gateway/running_turn.ts";
import type { InboundTurn } from "#/gateway/running_turn.ts";
import { Turns } from "#/gateway/turns.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import { delta, refusingSource, ScriptedSource, stored, turnDone, userMessage } from "./scripted_source.ts";

const never = new AbortController().signal;

function open(source: TurnSource, recorded: readonly StoredEvent[] = []) {
  const hub = new Hub();
  const log = { turn: () => Promise.resolve(recorded), blob: () => Promise.resolve(undefined) };
  const turns = new Turns({ source, log, hub, user: "ann", report: () => {} });
  const follow = (more: Partial<InboundTurn> = {}, options = { signal: never, cancels: false }) =>
    followTurn(message(more), { turns, log }, options);
  return { turns, hub, follow };
}

function message(more: Partial<InboundTurn> = {}): InboundTurn {
  return { session: "s", turn: "t", text: "hi", channel: "api:me", requestId: "", attachments: [], ...more };
}

async function types(events: AsyncIterable<SessionEvent>): Promise<string[]> {
  const all: string[] = [];
  for await (const event of events) all.push(isStored(event) ? `${event.seq} ${event.type}` : event.type);
  return all;
}

Deno.test("followTurn() starts a turn and ends with it; the session's watchers see it as well", async () => {
  const source = new ScriptedSource();
  const { follow, hub } = open(source);
  const frames: string[] = [];
  const outlet = {
    bufferedAmount: 0,
    readyState: WebSocket.OPEN,
    send: (text: string) => frames.push(text),
    close() {},
  };
  hub.attach("s", { knows: { turnEvents: false, approvals: false, media: false }, outlet });
  const following = types(follow({ asked: { origin: "api" } }));
  const turn = await source.next();
  assert.deepEqual(turn.message.asked, { origin: "api" });
  await turn.emit(userMessage());
  await turn.emit(delta("one"));
  await turn.emit({ ...turnDone("one"), seq: 2 } as StoredEvent);
  await turn.end();
  assert.deepEqual(await following, ["1 user_message", "text_delta", "2 turn_done"]);
  assert.deepEqual(frames.map((text) => JSON.parse(text).type), ["turn_started", "assistant_delta", "turn_completed"]);
});

Deno.test("followTurn() of a turn that runs tells its recorded events from the start, and runs nothing twice", async () => {
  const source = new ScriptedSource();
  const { follow } = open(source, [userMessage()]);
  const first = types(follow());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.asked();
  const second = follow()[Symbol.asyncIterator]();
  assert.equal((await second.next()).value?.type, "user_message");
  const end = second.next();
  await turn.emit({ ...turnDone("one"), seq: 2 } as StoredEvent);
  await turn.end();
  assert.equal((await end).value?.type, "turn_done");
  assert.equal((await second.next()).done, true);
  assert.deepEqual(await first, ["1 user_message", "2 turn_done"]);
  assert.equal(source.turns.length, 1);
});

Deno.test("followTurn() refuses the id of a running turn for another message", async () => {
  const source = new ScriptedSource();
  const { follow } = open(source);
  const first = types(follow());
  const turn = await source.next();
  await turn.emit(userMessage());
  await assert.rejects(follow({ text: "other" }).next(), { code: "turn_conflict" });
  await turn.emit({ ...turnDone("one"), seq: 2 } as StoredEvent);
  await turn.end();
  await first;
});

Deno.test("followTurn() throws what the session refuses with, and leaves nothing behind", async () => {
  const { follow, turns } = open(refusingSource(new AppError("queue_full", "too many")));
  await assert.rejects(follow().next(), { code: "queue_full" });
  assert.equal(turns.active("s"), undefined);
  await turns.stop();
  await assert.rejects(follow().next(), { code: "cancelled" });
});

Deno.test("followTurn() ends when the turn is parked; the turn goes on waiting", async () => {
  const source = new ScriptedSource();
  const recorded: StoredEvent[] = [];
  const { follow } = open(source, recorded);
  const first = types(follow());
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.emit(stored("parked", { callId: "c", reason: "" }, 2));
  recorded.push(userMessage(), stored("parked", { callId: "c", reason: "" }, 2));
  await turn.end();
  assert.deepEqual(await first, ["1 user_message", "2 parked"]);
  assert.deepEqual(await types(follow()), ["1 user_message", "2 parked"]);
  assert.equal(source.turns.length, 1);
  // Another message ends what waits.
  void follow({ turn: "u" }).next();
  await source.next();
  assert.deepEqual(source.ended, ["t: a new message came"]);
});

for (const cancels of [true, false]) {
  Deno.test(`a door whose client leaves ${cancels ? "cancels its turn" : "lets its turn go on"}`, async () => {
    const source = new ScriptedSource();
    const { follow } = open(source, [userMessage()]);
    const left = new AbortController();
    const first = types(follow({}, { signal: left.signal, cancels }));
    const turn = await source.next();
    await turn.emit(userMessage());
    await turn.asked();
    left.abort();
    assert.deepEqual(await first, ["1 user_message"]);
    assert.equal(turn.signal.aborted, cancels);
  });
}

Deno.test("a door that leaves cancels nothing that another one follows, or that it did not begin", async () => {
  const source = new ScriptedSource();
  const { follow } = open(source, [userMessage()]);
  const left = [new AbortController(), new AbortController()];
  const first = types(follow({}, { signal: left[0]!.signal, cancels: true }));
  const turn = await source.next();
  await turn.emit(userMessage());
  await turn.asked();
  const second = types(follow({}, { signal: left[1]!.signal, cancels: true }));
  await new Promise((resolve) => setTimeout(resolve, 0));
  left[0]!.abort();
  await first;
  assert.equal(turn.signal.aborted, false);
  left[1]!.abort();
  await second;
  assert.equal(turn.signal.aborted, false);
});

Deno.test("endFollowers() ends every door's queue once; toMessage() is what the turn was begun with", async () => {
  const { EventQueue } = await import("#/gateway/event_queue.ts");
  const queue = new EventQueue({ missed: false });
  const turn = toRunningTurn({ ...message(), sender: undefined, followers: new Set([queue]) });
  assert.deepEqual(toMessage(turn), message());
  endFollowers(turn);
  assert.equal(await queue.next(), undefined);
  assert.equal(turn.followers.size, 0);
});

Deno.test("recall() reads what a turn of an earlier process was asked, so that its message again is a retry of it", async () => {
  const log = { turn: () => Promise.resolve([stored("user_message", { text: "hi", channel: "tui", requestId: "r" })]) };
  const inherited = () =>
    toRunningTurn({ ...message({ text: "", channel: "" }), sender: undefined, followers: new Set() });
  const turn = inherited();
  await recall(turn, log);
  assert.deepEqual([turn.text, turn.channel, turn.requestId], ["hi", "tui", "r"]);
  await checkSameMessage(inherited(), message(), log);
  await assert.rejects(checkSameMessage(inherited(), message({ text: "other" }), log), { code: "turn_conflict" });
});
