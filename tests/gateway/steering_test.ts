import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { Steering, SteeringInbox, type SteeringText } from "#/gateway/steering.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import type { SteeringSource } from "#/turn/steering.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { type Client, openHouse } from "./house.ts";
import { sessionsOver } from "./real_sessions.ts";
import { ScriptedSource, stored, turnDone, userMessage } from "./scripted_source.ts";

const text = (id: string, said = id): SteeringText => ({ id, text: said, channel: "tui", requestId: `r-${id}` });

Deno.test("SteeringInbox answers when a message is recorded, and gives back what never was", async () => {
  const inbox = new SteeringInbox();
  const [a, b] = [inbox.push(text("a")), inbox.push(text("b"))];
  assert.equal(await Promise.race([a, Promise.resolve("open")]), "open");
  assert.deepEqual(inbox.take(), [{ id: "a", text: "a" }, { id: "b", text: "b" }]);
  assert.deepEqual(inbox.take(), []);
  inbox.recorded("a");
  inbox.recorded("nobody's");
  assert.equal(await a, "injected");
  const left = inbox.close();
  assert.deepEqual(left.map(({ id }) => id), ["b"], "taken, but the store said no");
  left[0]!.answer.resolve("queued");
  assert.equal(await b, "queued");
});

Deno.test("SteeringInbox takes an id once, and refuses it for another text", async () => {
  const inbox = new SteeringInbox();
  const [first, again] = [inbox.push(text("a")), inbox.push(text("a"))];
  assert.equal(inbox.take().length, 1);
  inbox.recorded("a");
  assert.deepEqual(await Promise.all([first, again]), ["injected", "injected"]);
  await assert.rejects(inbox.push(text("a", "else")), { code: "turn_conflict" });
});

Deno.test("SteeringInbox is bounded by what waits and by what came", async () => {
  const inbox = new SteeringInbox();
  const { steeringWaitingMax, steeringsPerTurnMax } = LIMITS;
  for (let n = 0; n < steeringsPerTurnMax; n += steeringWaitingMax) {
    for (let at = n; at < n + steeringWaitingMax; at++) void inbox.push(text(`${at}`));
    await assert.rejects(inbox.push(text("more")), { code: "queue_full" });
    for (const { id } of inbox.take()) inbox.recorded(id);
  }
  await assert.rejects(inbox.push(text("more")), { code: "queue_full" });
});

/** Turns of nothing but their names. */
function steeringOver(events: readonly StoredEvent[] = []) {
  const turn = { session: "s", turn: "t", text: "hi", replay: false };
  const queued: string[] = [];
  let running: typeof turn | undefined = turn;
  const steering = new Steering<typeof turn>({
    log: { turn: (_, id) => Promise.resolve(events.filter((event) => event.turn === id)) },
    find: ({ turn: id }) => id === "" || id === "t" ? running : undefined,
    queue: (message) => {
      queued.push(`${message.turn}: ${message.text}`);
      return { session: message.session, turn: message.turn, text: message.text, replay: false };
    },
  });
  return { turn, queued, steering, end: () => (running = undefined, steering.ended(turn)) };
}

Deno.test("Steering makes what came too late a turn of its own, in order", async () => {
  const { turn, queued, steering, end } = steeringOver();
  const answers = ["a", "b"].map((id) => steering.steer({ session: "s", turn: "t" }, text(id)));
  await Promise.resolve();
  steering.inbox(turn).take();
  steering.inbox(turn).recorded("a");
  end();
  assert.equal(await answers[0], "injected");
  assert.deepEqual(queued, ["b: b"]);
});

Deno.test("Steering says what the log knows of a message, and asks for a turn that was", async () => {
  const known = [
    { ...stored("user_message", { text: "hi", channel: "tui" }), turn: "t" },
    { ...stored("steering", { id: "a", text: "a" }), turn: "t" },
    { ...stored("user_message", { text: "b", channel: "tui" }), turn: "b" },
  ] as StoredEvent[];
  const { steering, queued, end } = steeringOver(known);
  end();
  const place = { session: "s", turn: "t" };
  assert.equal(await steering.steer(place, text("a")), "injected");
  assert.equal(await steering.steer(place, text("b")), "queued");
  await assert.rejects(steering.steer(place, text("a", "else")), { code: "turn_conflict" });
  await assert.rejects(steering.steer({ session: "s", turn: "never" }, text("c")), { code: "usage" });
  assert.deepEqual(queued, []);
});

Deno.test("Steering tells whoever waits that a queued turn failed, and nobody else", async () => {
  const { turn, steering } = steeringOver();
  const error = new AppError("queue_full", "full");
  assert.equal(steering.failed(turn, error), false);
  steering.begun(turn);
  const made: { turn: string }[] = [];
  const other = new Steering<{ session: string; turn: string; text: string; replay: boolean }>({
    log: { turn: () => Promise.resolve([]) },
    find: () => undefined,
    queue: (message) => {
      const queued = { ...message, replay: false };
      made.push(queued);
      return queued;
    },
  });
  const answer = other.steer({ session: "s", turn: "" }, text("a"));
  while (made.length === 0) await Promise.resolve();
  await Promise.resolve();
  assert.equal(other.failed(made[0] as never, error), true);
  await assert.rejects(answer, { code: "queue_full" });
});

const CAN = ["turn_events", "steering"];

function steer(client: Client, id: string, more: Record<string, unknown> = {}): void {
  const said = { request_id: `r-${id}`, session_id: "runtime-ann", turn_id: "", message_id: id, text: id };
  client.send("steer", { ...said, ...more });
}

Deno.test("steer reaches the next model call of the running turn, is on record first, and is accepted then", async () => {
  const gate = Promise.withResolvers<string>();
  const began = Promise.withResolvers<void>();
  const provider = scriptedProvider(calls(["file_read", {}]), says("bonjour"));
  const sandbox = new RecordingSandbox({ file_read: () => (began.resolve(), gate.promise) });
  await using house = await openHouse({}, sessionsOver(provider, undefined, sandbox));
  await using client = await house.client({ capabilities: CAN });
  client.turn("t");
  await began.promise;
  steer(client, "in French", { turn_id: "t" });
  steer(client, "in French", { turn_id: "t", request_id: "again" });
  const kinds = (await client.drain()).map((frame) => frame.type);
  assert.ok(!kinds.includes("steer_accepted"), "not before it is recorded");
  gate.resolve("text");
  const frames = await client.until("turn_completed");
  const accepted = frames.filter((frame) => frame.type === "steer_accepted").map((frame) => frame.payload);
  assert.deepEqual(accepted.map(({ request_id, message_id, how }) => [request_id, message_id, how]), [
    ["r-in French", "in French", "injected"],
    ["again", "in French", "injected"],
  ]);
  assert.equal(provider.requests[1]!.messages.at(-1)!.content, "in French");
  const types = (await house.log.turn("runtime-ann", "t")).map((event) => event.type);
  assert.equal(types.filter((type) => type === "steering").length, 1);
  assert.equal(types.indexOf("steering"), types.indexOf("tool_result") + 1);
});

Deno.test("steer to a turn that has ended, or to none, starts a turn; the same message again is a retry", async () => {
  const provider = scriptedProvider(says("one"), says("two"), says("three"));
  await using house = await openHouse({}, sessionsOver(provider));
  await using client = await house.client({ capabilities: CAN });
  client.turn("t");
  await client.next("turn_completed");
  for (const id of ["a", "a"]) {
    steer(client, id, { turn_id: "t" });
    assert.equal((await client.next("steer_accepted")).payload.how, "queued");
  }
  // To a turn that still ran it would be said.
  do client.send("health_check", { request_id: "h" }); while (
    (await client.next("health_status")).payload.active_turn !== undefined
  );
  steer(client, "b");
  assert.equal((await client.next("steer_accepted")).payload.how, "queued");
  await client.next("turn_completed");
  assert.equal(provider.requests.length, 3);
  steer(client, "c", { turn_id: "never was" });
  assert.match((await client.next("error")).payload.message, /no such turn/);
  steer(client, "d", { text: "  " });
  assert.match((await client.next("error")).payload.message, /steer.text: the message is empty/);
  steer(client, "e", { text: "x".repeat(LIMITS.steeringCharsMax + 1) });
  assert.match((await client.next("error")).payload.message, /steer.text/);
  steer(client, "f", { session_id: "another" });
  assert.match((await client.next("error")).payload.message, /another session/);
});

Deno.test("a client that did not announce steering is told nothing of it", async () => {
  await using house = await openHouse({}, sessionsOver(scriptedProvider(says("one"))));
  await using client = await house.client({ capabilities: ["turn_events"] });
  steer(client, "a");
  const frames = [...await client.until("turn_completed"), ...await client.drain()];
  assert.ok(frames.every((frame) => frame.type !== "steer_accepted"));
});

Deno.test("what is said to a turn that waits for a person is taken when the turn goes on", async () => {
  const source = new ScriptedSource();
  const taken: string[] = [];
  const inboxes: SteeringSource[] = [];
  await using house = await openHouse({}, () =>
    Promise.resolve({
      send: (message, signal, steering) => (inboxes.push(steering), source.send(message, signal)),
      resume: (place, answer, signal, steering) => (inboxes.push(steering), source.resume(place, answer, signal)),
      endParked: (place, reason) => source.endParked(place, reason),
      suspend: () => Promise.resolve(),
    }));
  await using client = await house.client({ capabilities: CAN });
  client.turn("t");
  const first = await source.next();
  await first.emit(userMessage());
  await first.finish(stored("parked", { callId: "c", reason: "asks" }, 5));
  await client.drain();
  steer(client, "and quickly", { turn_id: "t" });
  assert.ok((await client.drain()).every((frame) => frame.type !== "steer_accepted"));
  house.resume({ session: "runtime-ann", turn: "t" }, undefined);
  const again = await source.next();
  taken.push(...inboxes[1]!.take().map(({ text }) => text));
  await again.emit(stored("steering", { id: "and quickly", text: "and quickly" }, 6));
  assert.equal((await client.next("steer_accepted")).payload.how, "injected");
  await again.finish(turnDone("done"));
  await client.next("turn_completed");
  assert.deepEqual([taken, inboxes[0] === inboxes[1]], [["and quickly"], true]);
});
