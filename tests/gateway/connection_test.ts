import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { CLOSE } from "#/gateway/connection.ts";
import type { After } from "#/gateway/connection.ts";
import { Client, type Frame, openHouse } from "./house.ts";
import { delta, stored, turnDone, userMessage } from "./scripted_source.ts";

const hello = { request_id: "h", protocol_version: 2, user_id: "ann" };

/** Timers that a test fires by hand. */
function handTimers() {
  const pending = new Map<() => void, number>();
  const after: After = (ms, run) => {
    pending.set(run, ms);
    return () => pending.delete(run);
  };
  return { after, pending };
}

async function bare(house: { port: number; token: string }): Promise<Client> {
  return await Client.open(`ws://127.0.0.1:${house.port}/ws`, { headers: { authorization: `Bearer ${house.token}` } });
}

const messages = (frames: readonly Frame[]) => frames.map((frame) => frame.payload.message);

Deno.test("hello is answered with the default session, and makes it", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  assert.deepEqual(await client.any(), {
    type: "hello_ack",
    payload: {
      request_id: "hello",
      protocol_version: 2,
      session: { user_id: "ann", session_id: "runtime-ann" },
    },
  });
  assert.deepEqual(await client.drain(), [], "nothing of ours for a client of the reference");
  assert.equal((await house.log.session("runtime-ann"))?.user, "ann");
});

Deno.test("a client that announces turn_events is told which model answers, and why", async () => {
  await using house = await openHouse();
  await using client = await house.client({ capabilities: ["turn_events", "something_else"] });
  await client.next("hello_ack");
  assert.deepEqual(await client.any(), {
    type: "gateway_info",
    payload: {
      request_id: "hello",
      version: "9.9.9",
      provider: "demo",
      model: "demo",
      reason: "no key is set",
      workspace: "/w",
    },
  });
});

Deno.test("hello may ask for a new session, for a known one, or name one that is not there yet", async () => {
  await using house = await openHouse();
  const sessionOf = async (more: Record<string, unknown>, capabilities: string[] = []) => {
    await using client = await house.client({ hello: more, capabilities });
    return (await client.next("hello_ack")).payload.session.session_id;
  };
  const created = await sessionOf({ create_new_session: true, session_id: "ignored" });
  assert.match(created, /^[0-9a-f-]{36}$/);
  assert.equal(await sessionOf({ session_id: created }), created);
  assert.equal(await sessionOf({ session_id: null }), "runtime-ann");
  assert.equal(await sessionOf({ session_id: "mine" }, ["named_sessions"]), "mine");
  assert.equal(await sessionOf({ session_id: "mine" }), "mine");
});

Deno.test("a hello that cannot be obeyed is told why, and the connection ends", async () => {
  await using house = await openHouse();
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ ...hello, protocol_version: 1 }, /protocol version 1; this gateway speaks 2/],
    [{ ...hello, protocol_version: 3 }, /protocol version 3/],
    [{ ...hello, user_id: "bob" }, /belongs to another user/],
    [{ ...hello, user_id: "" }, /belongs to another user/],
    [{ ...hello, session_id: "nope" }, /has no session `nope`/],
  ];
  for (const [payload, reason] of cases) {
    const client = await bare(house);
    client.send("hello", payload);
    const frame = await client.any();
    assert.equal(frame.type, "error");
    assert.equal(frame.payload.request_id, "h");
    assert.match(frame.payload.message, reason);
    assert.deepEqual(await client.closed, { code: CLOSE.helloRefused, reason: "hello was refused" });
  }
});

Deno.test("what is not a hello ends a connection that has not said hello", async () => {
  await using house = await openHouse();
  const firsts: readonly (string | Uint8Array<ArrayBuffer>)[] = [
    "",
    "{",
    "null",
    '{"type":"hello","payload":{}}',
    '{"type":"health_check","payload":{"request_id":"h"}}',
    '{"type":"send_turn","payload":{"request_id":"h","session_id":"runtime-ann","turn_id":"t","prompt":"x"}}',
    new TextEncoder().encode(JSON.stringify({ type: "hello", payload: hello })),
  ];
  for (const first of firsts) {
    const client = await bare(house);
    client.socket.send(first);
    assert.equal((await client.any()).type, "error");
    assert.deepEqual(await client.closed, { code: CLOSE.protocol, reason: "the first frame must be hello" });
  }
  assert.equal(house.source.turns.length, 0);
});

Deno.test("silence instead of hello ends after helloTimeoutMs, not a hello in time", async () => {
  const timers = handTimers();
  await using house = await openHouse({ after: timers.after });
  const silent = await bare(house);
  await using polite = await house.client();
  await polite.next("hello_ack");
  assert.deepEqual([...timers.pending.values()], [LIMITS.helloTimeoutMs], "one waits: the silent one");
  for (const run of [...timers.pending.keys()]) run();
  assert.match((await silent.any()).payload.message, /no hello in time/);
  assert.deepEqual(await silent.closed, { code: CLOSE.helloTimeout, reason: "no hello in time" });
  await polite.drain();
});

Deno.test("a bad frame is answered and the connection goes on", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  await client.next("hello_ack");
  const bad: readonly (readonly [string | Uint8Array<ArrayBuffer>, RegExp])[] = [
    ["not json", /not JSON/],
    ["[1]", /a frame is one JSON object/],
    ['{"type":"hello","payload":{"request_id":"x","protocol_version":2,"user_id":"ann"}}', /hello was said already/],
    ['{"type":"warp","payload":{}}', /unknown frame type `warp`/],
    ['{"type":"send_turn","payload":{"request_id":"x"}}', /send_turn\.session_id/],
    [new Uint8Array([1, 2, 3]), /binary/],
  ];
  for (const [frame, reason] of bad) {
    client.socket.send(frame);
    const answer = await client.any();
    assert.equal(answer.type, "error");
    assert.match(answer.payload.message, reason);
    assert.equal(answer.payload.code, undefined, "a client of the reference gets no code");
  }
  assert.deepEqual(await client.drain(), []);
});

Deno.test("a message that cannot be taken is refused with its request id and, for our clients, a code", async () => {
  await using house = await openHouse();
  await using client = await house.client({ capabilities: ["turn_events"] });
  await client.next("gateway_info");
  const media = { mime_type: "a/b", data: "" };
  const cases: readonly (readonly [Record<string, unknown>, RegExp, string])[] = [
    [{ session_id: "other" }, /in another session; send switch_session/, "usage"],
    [{ turn_id: "" }, /turn_id is empty/, "usage"],
    [{ prompt: " \n" }, /the message is empty/, "usage"],
    [{ prompt: "p".repeat(LIMITS.promptCharsMax + 1) }, /send_turn\.prompt/, "protocol"],
    [{ attachments: [media, media, media, media, media] }, /5 attachments in one turn; at most 4/, "usage"],
    [{ attachments: [{ mime_type: "a/b", data: "?" }] }, /attachment 0: data is not base64/, "usage"],
  ];
  for (const [more, reason, code] of cases) {
    client.turn("t", "hi", more);
    const { type, payload } = await client.any();
    assert.equal(type, "error");
    assert.equal(payload.request_id, "r-t");
    assert.equal(payload.code, code);
    assert.match(payload.message, reason);
  }
  assert.equal(house.source.turns.length, 0);
});

Deno.test("send_turn reaches the session whole, attachments included", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  client.turn("t", "look", { attachments: [{ mime_type: "image/png", data: "QUI=" }] });
  const turn = await house.source.next();
  assert.deepEqual(turn.message, {
    session: "runtime-ann",
    turn: "t",
    text: "look",
    channel: "tui",
    requestId: "r-t",
    attachments: [{ mimeType: "image/png", data: "QUI=" }],
  });
  await turn.emit(userMessage());
  await turn.finish(turnDone("ok"));
  assert.deepEqual((await client.until("turn_completed")).map((frame) => frame.type), [
    "hello_ack",
    "turn_started",
    "turn_completed",
  ]);
});

Deno.test("messages of one client keep their order", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  for (let at = 0; at < 20; at++) client.turn(`t${at}`);
  for (let at = 0; at < 20; at++) {
    const turn = await house.source.next();
    assert.equal(turn.message.turn, `t${at}`);
    await turn.finish(turnDone(""));
  }
  await client.drain();
});

Deno.test("health_check says how things stand", async () => {
  const status = {
    sandbox_tier: "process",
    sidecar_available: false,
    shell_available: false,
    browser_available: false,
  } as const;
  const reasons = [{ code: "sidecar_unavailable", detail: "no shell" }, { code: "x", detail: "no browser" }];
  for (const startupStatus of [status, { ...status, degraded_reasons: reasons }]) {
    await using house = await openHouse({ startupStatus });
    await using client = await house.client();
    client.send("health_check", { request_id: "q" });
    assert.deepEqual(await client.next("health_status"), {
      type: "health_status",
      payload: {
        request_id: "q",
        healthy: true,
        session: { user_id: "ann", session_id: "runtime-ann" },
        startup_status: startupStatus,
        message: "degraded_reasons" in startupStatus ? "ready, with limits: no shell | no browser" : "ready",
      },
    });
    client.turn("t");
    const turn = await house.source.next();
    client.send("health_check", { request_id: "q" });
    const { payload } = await client.next("health_status");
    assert.deepEqual(payload.active_turn, { turn_id: "t", state: "running" });
    await turn.finish(turnDone(""));
  }
});

Deno.test("cancel_active_turn reaches the turn; without one, or in another session, it is an error", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  await client.next("hello_ack");
  const cancel = (turn_id: string, session_id = "runtime-ann") =>
    client.send("cancel_active_turn", { request_id: "c", session_id, turn_id });
  cancel("");
  assert.match((await client.any()).payload.message, /no such turn/);
  client.turn("t");
  const turn = await house.source.next();
  await turn.emit(userMessage());
  await client.next("turn_started");
  cancel("t", "other");
  assert.match((await client.any()).payload.message, /in another session/);
  cancel("u");
  assert.match((await client.any()).payload.message, /no such turn/);
  assert.equal(turn.signal.aborted, false);
  cancel("");
  await client.drain();
  assert.equal(turn.signal.aborted, true);
  await turn.finish(stored("turn_cancelled", { reason: "asked", steps: 1 }));
  assert.deepEqual((await client.next("turn_cancelled")).payload.turn, { turn_id: "t", state: "cancelled" });
});

Deno.test("cancel_all_active_turns reaches the turns of every session", async () => {
  await using house = await openHouse();
  await using one = await house.client();
  await using two = await house.client({ hello: { session_id: "x" }, capabilities: ["named_sessions"] });
  await one.next("hello_ack");
  await two.next("hello_ack");
  one.send("cancel_all_active_turns", { request_id: "c" });
  assert.match((await one.any()).payload.message, /no turn to cancel/);
  one.turn("a");
  two.turn("b", "hi", { session_id: "x" });
  const turns = [await house.source.next(), await house.source.next()];
  one.send("cancel_all_active_turns", { request_id: "c" });
  assert.deepEqual(await one.drain(), []);
  for (const turn of turns) {
    assert.equal(turn.signal.aborted, true);
    await turn.finish(stored("turn_cancelled", { reason: "asked", steps: 0 }));
  }
  await Promise.all([one.next("turn_cancelled"), two.next("turn_cancelled")]);
});

Deno.test("create_session and switch_session move the client; its frames follow", async () => {
  await using house = await openHouse();
  await using client = await house.client();
  await client.next("hello_ack");
  client.send("create_session", { request_id: "c", display_name: "Rivers", agent_name: "poet" });
  const { payload } = await client.next("session_created");
  const made = payload.session.session_id;
  assert.deepEqual(payload, {
    request_id: "c",
    session: { user_id: "ann", session_id: made },
    display_name: "Rivers",
    agent_name: "poet",
  });
  client.turn("t", "hi", { session_id: made });
  const turn = await house.source.next();
  assert.equal(turn.message.session, made);
  await turn.emit(userMessage());
  client.send("switch_session", { request_id: "s", session_id: "runtime" });
  assert.deepEqual((await client.next("session_switched")).payload, {
    request_id: "s",
    session: { user_id: "ann", session_id: "runtime-ann" },
  });
  await turn.emit(delta("unseen"));
  assert.deepEqual(await client.drain(), []);
  client.send("switch_session", { request_id: "s", session_id: made });
  assert.deepEqual((await client.next("session_switched")).payload.active_turn, { turn_id: "t", state: "running" });
  await turn.finish(turnDone("seen"));
  await client.next("turn_completed");
  client.send("switch_session", { request_id: "s", session_id: "nope" });
  assert.match((await client.next("error")).payload.message, /has no session `nope`/);
  client.send("list_sessions", { request_id: "l" });
  const listed = (await client.next("session_list")).payload.sessions;
  assert.deepEqual(
    listed.map((row: { session_id: string; display_name?: string }) => [row.session_id, row.display_name]).sort(),
    [[made, "Rivers"], ["runtime-ann", undefined]].sort(),
  );
});

Deno.test("more sessions than sessionsMax are refused by name of the setting", async () => {
  await using house = await openHouse({ sessionsMax: 2 });
  await using client = await house.client();
  client.send("create_session", { request_id: "1" });
  await client.next("session_created");
  client.send("create_session", { request_id: "2" });
  assert.match((await client.next("error")).payload.message, /max_sessions_per_user/);
});

Deno.test("a log that fails is told as what it is; a bug is an id in the report and nothing else", async () => {
  await using house = await openHouse({
    log: {
      ensureSession: (row) => Promise.resolve({ ...row, createdAt: 0, lastActiveAt: 0, archived: false }),
      session: () => Promise.resolve(undefined),
      listSessions: () => Promise.reject(new TypeError("a secret")),
      turn: () => Promise.resolve([]),
      blob: () => Promise.resolve(undefined),
      read: () => Promise.resolve([]),
      sessions: () => Promise.reject(new Error("not asked for")),
    },
  });
  await using client = await house.client();
  await client.next("hello_ack");
  client.send("list_sessions", { request_id: "l" });
  const frame = await client.any();
  assert.equal(frame.payload.message, `internal error (${house.reports[0]?.id})`);
  assert.deepEqual(await client.drain(), []);
});

Deno.test("frames that come faster than they are obeyed end the connection, and none of the rest is obeyed", async () => {
  const gate = Promise.withResolvers<readonly never[]>();
  let listings = 0;
  await using house = await openHouse({
    log: {
      ensureSession: (row) => Promise.resolve({ ...row, createdAt: 0, lastActiveAt: 0, archived: false }),
      session: () => Promise.resolve(undefined),
      listSessions: () => {
        listings++;
        return gate.promise;
      },
      turn: () => Promise.resolve([]),
      blob: () => Promise.resolve(undefined),
      read: () => Promise.resolve([]),
      sessions: () => Promise.reject(new Error("not asked for")),
    },
  });
  const client = await house.client();
  await client.next("hello_ack");
  const frame = JSON.stringify({
    type: "list_sessions",
    payload: { request_id: "x".repeat(200), y: "z".repeat(20_000_000) },
  });
  for (let sent = 0; sent <= LIMITS.clientInboxCharsMax; sent += frame.length) client.socket.send(frame);
  assert.deepEqual(await client.closed, {
    code: CLOSE.flooding,
    reason: "frames come faster than they can be obeyed",
  });
  gate.resolve([]);
  await using other = await house.client();
  assert.deepEqual(messages(await other.drain()).filter(Boolean), []);
  assert.equal(listings, 1);
});
