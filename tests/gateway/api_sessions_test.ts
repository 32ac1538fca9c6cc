import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ApiSession, toSessionRoutes } from "#/gateway/api_sessions.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { SteeringInbox } from "#/gateway/steering.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { type House, openHouse } from "./house.ts";
import { sessionsOver } from "./real_sessions.ts";
import { ScriptedSource, stored } from "./scripted_source.ts";

const OWNER = "o".repeat(40);
const PHONE = "p".repeat(40);
const TABLET = "q".repeat(40);
const READER = "r".repeat(40);

const TOKENS: readonly GatewayToken[] = await Promise.all(
  ([["me", OWNER, "owner"], ["phone", PHONE, "channel"], ["tablet", TABLET, "channel"], [
    "eye",
    READER,
    "read",
  ]] as const)
    .map(async ([id, token, scope]) => ({ id, sha256: await sha256Hex(token), scope })),
);

// deno-lint-ignore no-explicit-any
type Answer = { status: number; body: any; text: string };

/** A gateway, and what asks it over HTTP. */
async function openApi(
  toSource: Parameters<typeof openHouse>[1] = sessionsOver(scriptedProvider(says("hello"))),
  more: Parameters<typeof openHouse>[0] = {},
) {
  const house = await openHouse({ tokens: () => TOKENS, ...more }, toSource);
  const ask = async (method: string, path: string, body?: unknown, token = OWNER): Promise<Answer> => {
    const raw = typeof body === "string" || body instanceof ReadableStream;
    const response = await fetch(`http://127.0.0.1:${house.port}/api/v1/sessions${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(raw ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: raw ? body as BodyInit : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, text, body: isJson ? JSON.parse(text) : undefined };
  };
  return { house, ask, [Symbol.asyncDispose]: () => house[Symbol.asyncDispose]() };
}

/** A client with the owner's token says something, and the turn ends. */
async function say(house: House, session: string, turn: string, prompt = "hi"): Promise<void> {
  const url = `ws://127.0.0.1:${house.port}/ws`;
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${OWNER}` } } as unknown as string[]);
  const done = Promise.withResolvers<void>();
  socket.onopen = () => {
    const hello = {
      request_id: "h",
      protocol_version: 2,
      user_id: "ann",
      session_id: session,
      create_new_session: false,
    };
    socket.send(JSON.stringify({ type: "hello", payload: { ...hello, capabilities: ["named_sessions"] } }));
    socket.send(JSON.stringify({
      type: "send_turn",
      payload: { request_id: "r", session_id: session, turn_id: turn, prompt },
    }));
  };
  socket.onmessage = ({ data }) => {
    const { type, payload } = JSON.parse(data);
    if (type === "turn_completed") done.resolve();
    if (type === "error") done.reject(new Error(payload.message));
  };
  await done.promise;
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
}

Deno.test("the session routes make, show, list, name and archive a session", async () => {
  await using api = await openApi();
  const { ask, house } = api;
  const made = await ask("POST", "", { name: "Rivers", agent: "poet" });
  assert.equal(made.status, 200, made.text);
  const session = ApiSession.parse(made.body);
  assert.deepEqual([session.name, session.agent, session.channel, session.turns], ["Rivers", "poet", "api:me", 0]);
  await say(house, session.id, "t", "write about rivers");
  const shown = (await ask("GET", `/${session.id}`)).body;
  assert.deepEqual([shown.turns, shown.last_text, shown.active_turn], [1, "write about rivers", null]);
  const renamed = await ask("PATCH", `/${session.id}`, { name: "Brooks" });
  assert.equal(renamed.body.name, "Brooks");
  assert.equal((await ask("PATCH", `/${session.id}`, { archived: true })).body.archived, true);
  assert.deepEqual((await ask("GET", "")).body, { sessions: [], next: null });
  assert.equal((await ask("GET", "?archived=true")).body.sessions.length, 1);
  assert.equal((await ask("GET", `?archived=true&prefix=${session.id.slice(0, 8)}`)).body.sessions.length, 1);
  assert.equal((await ask("GET", "?archived=true&prefix=zzz")).body.sessions.length, 0);
  await say(house, session.id, "t2");
  assert.equal((await ask("GET", `/${session.id}`)).body.archived, false, "whoever says something takes it back");
});

Deno.test("GET /api/v1/sessions goes on behind its cursor, whatever ids hold, and refuses another's", async () => {
  await using api = await openApi();
  const ids = ["a/b", "a b", "ü.1", "100%", "plain"];
  for (const id of ids) {
    await api.house.log.ensureSession({
      id,
      user: "ann",
      agent: "default",
      channel: "x",
      displayName: null,
      parent: null,
    });
  }
  const seen: string[] = [];
  let path = "?limit=2";
  for (;;) {
    const { body } = await api.ask("GET", path);
    seen.push(...body.sessions.map(({ id }: { id: string }) => id));
    if (body.next === null) break;
    path = `?limit=2&cursor=${encodeURIComponent(body.next)}`;
  }
  assert.deepEqual(seen.toSorted(), ids.toSorted());
  for (const cursor of ["x", "1", "1.%E0%A4%A", "99999999999999999.a"]) {
    assert.equal((await api.ask("GET", `?cursor=${encodeURIComponent(cursor)}`)).status, 400, cursor);
  }
  assert.equal((await api.ask("GET", `?limit=${LIMITS.sessionsPageMax + 1}`)).status, 400);
  for (const id of ids) assert.equal((await api.ask("GET", `/${encodeURIComponent(id)}`)).body.id, id);
});

Deno.test("GET …/events shows recorded events without what vendors sealed and without bytes", async () => {
  const sealed = { provider: "p", model: "m", data: { secret: "sealed" } };
  const provider = scriptedProvider([
    { type: "tool_call", call: { id: "c", name: "file_read", arguments: "{}", metadata: { thoughtSignature: "sig" } } },
    { type: "replay", replay: sealed },
    { type: "done", finishReason: "tool_calls" },
  ], says("hello"));
  await using api = await openApi(sessionsOver(provider, undefined, new RecordingSandbox({ file_read: () => "x" })));
  await say(api.house, "s", "t");
  const all = (await api.ask("GET", "/s/events")).body;
  assert.deepEqual([all.events[0].type, all.events.at(-1).type, all.next], ["user_message", "turn_done", null]);
  assert.ok(!JSON.stringify(all).includes("sealed") && !JSON.stringify(all).includes("thoughtSignature"));
  const stored = JSON.stringify(await api.house.log.turn("s", "t"));
  assert.ok(stored.includes("sealed") && stored.includes("thoughtSignature"), "the log has both");
  const page = (await api.ask("GET", "/s/events?from=2&limit=2")).body;
  assert.deepEqual([page.events.map(({ seq }: { seq: number }) => seq), page.next], [[2, 3], 4]);
  assert.equal((await api.ask("GET", "/s/events?from=0")).status, 400);
  assert.deepEqual((await api.ask("GET", "/s/events?from=999")).body, { events: [], next: null });
});

Deno.test("POST /api/v1/sessions branches, and says of a place that is not there what there is", async () => {
  await using api = await openApi();
  await say(api.house, "s", "t");
  const branch = (await api.ask("POST", "", { branch_of: "s", at: 1, name: "What if" })).body;
  assert.deepEqual([branch.parent, branch.turns, branch.events], ["s", 1, 2]);
  assert.deepEqual(api.house.derived, [[branch.id, "s"]]);
  for (const at of [0, -1, 99, 1.5, "1"]) {
    const refused = await api.ask("POST", "", { branch_of: "s", at });
    assert.equal(refused.status, 400, `${at}: ${refused.text}`);
  }
  assert.match((await api.ask("POST", "", { branch_of: "s", at: 99 })).text, /it has 1 to/);
  assert.match((await api.ask("POST", "", { at: 1 })).text, /without branch_of/);
  assert.equal((await api.ask("POST", "", { branch_of: "never" })).status, 404);
});

Deno.test("a session that was exported is imported, and a file that was changed is refused with the line", async () => {
  await using api = await openApi();
  await say(api.house, "s", "t", "Grüße 🌊");
  const file = (await api.ask("GET", "/s/export")).text;
  const made = await api.ask("POST", "/import", file);
  assert.equal(made.status, 200, made.text);
  assert.deepEqual([made.body.channel, made.body.last_text], ["import", "Grüße 🌊"]);
  assert.deepEqual(api.house.derived, [[made.body.id, undefined]], "nobody knows what it was shown");
  const refused = await api.ask("POST", "/import", file.replace("Grüße", "Gruße"));
  assert.deepEqual([refused.status, refused.body.error.code], [400, "usage"]);
  assert.match(refused.body.error.message, /^line 3: it was changed/);
  assert.equal((await api.ask("POST", "/import", "")).status, 400);
  assert.equal((await api.ask("GET", "")).body.sessions.length, 2);
});

/** Resolves when a message has come to a turn: requests on two connections have no order. */
function whenSteered(): Promise<void> {
  const { push } = SteeringInbox.prototype;
  return new Promise((resolve) => {
    SteeringInbox.prototype.push = function (message) {
      SteeringInbox.prototype.push = push;
      resolve();
      return push.call(this, message);
    };
  });
}

Deno.test("DELETE ends what runs, waits and was said, and leaves nothing of the session but how much it was", async () => {
  const began = Promise.withResolvers<void>();
  const sandbox = new RecordingSandbox({ file_read: () => (began.resolve(), new Promise(() => {})) });
  await using api = await openApi(
    sessionsOver(scriptedProvider(calls(["file_read", {}]), says("x")), undefined, sandbox),
  );
  const running = say(api.house, "s", "t").catch(() => {});
  await began.promise;
  const arrived = whenSteered();
  const steered = api.ask("POST", "/s/steer", { message_id: "m", text: "secret wish" });
  await arrived;
  const deleted = await api.ask("DELETE", "/s");
  assert.equal(deleted.status, 200, deleted.text);
  assert.ok(deleted.body.events >= 4);
  assert.equal((await steered).status, 503);
  const events = await api.house.log.read("s", { fromSeq: 1, limit: 9 });
  assert.deepEqual(events.map(({ type }) => type), ["forgotten"]);
  assert.deepEqual((await api.ask("DELETE", "/s")).body, deleted.body);
  assert.deepEqual(api.house.forgotten, ["s", "s"], "the runner is told, each time");
  void running;
});

Deno.test("DELETE goes on when the runner cannot be told, says so in the log alone, and waits for a slow one only so long", async () => {
  const asked: string[] = [];
  const words: (() => Promise<void>)[] = [
    () => Promise.reject(new AppError("tool_interrupted", "there is no runner")),
    () => {
      throw new TypeError("a bug");
    },
    () => new Promise<void>(() => {}),
  ];
  await using api = await openApi(undefined, {
    forget: (session) => {
      asked.push(session);
      return words[asked.length - 1]!();
    },
  });
  const row = { user: "ann", agent: "default", channel: "tui", displayName: null, parent: null };
  for (const id of ["gone", "bug", "slow"]) {
    await api.house.log.ensureSession({ ...row, id });
    const { status, text } = await api.ask("DELETE", `/${id}`);
    assert.equal(status, 200, text);
    assert.deepEqual((await api.house.log.read(id, { fromSeq: 1, limit: 9 })).map(({ type }) => type), ["forgotten"]);
  }
  assert.deepEqual(asked, ["gone", "bug", "slow"]);
  assert.deepEqual(api.house.reports.map(({ error }) => (error as Error).message), ["there is no runner", "a bug"]);
});

Deno.test("DELETE tells the runner while no turn of the session can begin", async () => {
  const order: string[] = [];
  const exclusive = async <T>(_session: string, work: () => Promise<T>) => {
    order.push("held");
    const made = await work();
    order.push("let go");
    return made;
  };
  const forget = async () => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    order.push("forgotten");
  };
  await using api = await openApi(undefined, { exclusive, forget });
  const row = { user: "ann", agent: "default", channel: "tui", displayName: null, parent: null };
  await api.house.log.ensureSession({ ...row, id: "s" });
  assert.equal((await api.ask("DELETE", "/s")).status, 200);
  assert.deepEqual(order, ["held", "forgotten", "let go"]);
});

Deno.test("steer and cancel over HTTP reach the running turn", async () => {
  const gate = Promise.withResolvers<string>();
  const began = Promise.withResolvers<void>();
  const sandbox = new RecordingSandbox({ file_read: () => (began.resolve(), gate.promise) });
  const provider = scriptedProvider(calls(["file_read", {}]), says("done"));
  await using api = await openApi(sessionsOver(provider, undefined, sandbox));
  const turn = say(api.house, "s", "t");
  await began.promise;
  const arrived = whenSteered();
  const steered = api.ask("POST", "/s/steer", { turn_id: "t", message_id: "m", text: "briefly" });
  await arrived;
  assert.deepEqual((await api.ask("POST", "/s/cancel", { turn_id: "nobody" })).body, { cancelled: false });
  gate.resolve("text");
  assert.deepEqual((await steered).body, { how: "injected" });
  await turn;
  assert.equal(provider.requests[1]!.messages.at(-1)!.content, "briefly");
  assert.equal((await api.ask("POST", "/s/steer", { message_id: "m2", text: " " })).status, 400);
});

Deno.test("a channel's token sees and uses the sessions that it began, a reader reads, and neither does more", async () => {
  await using api = await openApi();
  const { ask } = api;
  await say(api.house, "owners", "t");
  const own = (await ask("POST", "", { name: "Phone" }, PHONE)).body;
  assert.equal(own.channel, "api:phone");
  assert.deepEqual((await ask("GET", "", undefined, PHONE)).body.sessions.map(({ id }: { id: string }) => id), [
    own.id,
  ]);
  assert.deepEqual(
    (await ask("GET", "?channel=tui", undefined, PHONE)).body.sessions.length,
    1,
    "its own, whatever it asks",
  );
  const unseen = await ask("GET", "/owners", undefined, PHONE);
  const never = await ask("GET", "/nobodys", undefined, PHONE);
  assert.deepEqual([unseen.status, unseen.text], [404, never.text.replace("nobodys", "owners")], "the same words");
  for (
    const [method, path, body] of [
      ["GET", `/${own.id}`, undefined],
      ["GET", `/${own.id}/events`, undefined],
      ["POST", `/${own.id}/cancel`, {}],
    ] as const
  ) {
    assert.equal((await ask(method, path, body, PHONE)).status, 200, path);
    assert.equal((await ask(method, path, body, TABLET)).status, 404, path);
  }
  assert.equal((await ask("POST", "/owners/steer", { message_id: "m", text: "x" }, PHONE)).status, 404);
  assert.equal((await ask("POST", "", { branch_of: "owners" }, PHONE)).status, 404);
  assert.equal((await ask("GET", "/owners", undefined, READER)).status, 200);
  for (const token of [PHONE, READER]) {
    for (
      const [method, path, body] of [
        ["PATCH", `/${own.id}`, { name: "x" }],
        ["DELETE", `/${own.id}`, undefined],
        ["GET", `/${own.id}/export`, undefined],
        ["POST", "/import", "x"],
      ] as const
    ) {
      assert.equal((await ask(method, path, body, token)).status, 403, `${method} ${path}`);
    }
  }
  assert.equal((await ask("POST", "", {}, READER)).status, 403);
  assert.equal((await ask("GET", "", undefined, "wrong")).status, 401);
});

Deno.test("another user's session is not there, whatever is asked of it", async () => {
  await using api = await openApi();
  const row = { user: "bob", agent: "default", channel: "tui", displayName: "Bob's", parent: null };
  await api.house.log.ensureSession({ ...row, id: "bobs" });
  for (
    const [method, path, body] of [
      ["GET", "/bobs", undefined],
      ["GET", "/bobs/events", undefined],
      ["GET", "/bobs/export", undefined],
      ["PATCH", "/bobs", { name: "mine" }],
      ["DELETE", "/bobs", undefined],
      ["POST", "/bobs/cancel", {}],
      ["POST", "/bobs/steer", { message_id: "m", text: "x" }],
      ["POST", "", { branch_of: "bobs" }],
    ] as const
  ) {
    assert.equal((await api.ask(method, path, body)).status, 404, `${method} ${path}`);
  }
  assert.equal((await api.house.log.session("bobs"))!.displayName, "Bob's");
  assert.ok(!(await api.ask("GET", "?archived=true&prefix=bob")).text.includes("bobs"));
});

Deno.test("odd ids and bodies are refused in words", async () => {
  await using api = await openApi();
  await say(api.house, "s", "t");
  for (const id of ["s%00", "s%00x", "%2e%2e", "s%0a", "x".repeat(300), "%ED%A0%80"]) {
    const { status } = await api.ask("GET", `/${id}`);
    assert.ok(status === 404 || status === 400, `${id}: ${status}`);
  }
  for (
    const body of [[], { name: 1 }, { name: "x".repeat(201) }, { name: "a\0b" }, { name: "\x1b[2J" }, { user: "bob" }, {
      archived: "yes",
    }]
  ) {
    assert.equal((await api.ask("PATCH", "/s", body)).status, 400, JSON.stringify(body).slice(0, 40));
  }
  assert.equal((await api.ask("PUT", "/s", {})).status, 404);
  assert.equal(api.house.reports.length, 0);
});

Deno.test("toSessionRoutes() gives each door a place of its own", () => {
  const routes = toSessionRoutes({} as Parameters<typeof toSessionRoutes>[0]);
  assert.equal(new Set(routes.map(({ method, path }) => `${method} ${path}`)).size, 10);
});

Deno.test("no more imports than may be run at once, and a place is free again after one", async () => {
  await using api = await openApi();
  const gates = Array.from({ length: LIMITS.importsMax }, () => Promise.withResolvers<void>());
  const begun = gates.map(() => Promise.withResolvers<void>());
  const slow = gates.map(async (gate, at) => {
    for (;;) {
      const body = new ReadableStream({
        async pull(controller) {
          begun[at]!.resolve();
          await gate.promise;
          controller.close();
        },
      });
      const answer = await api.ask("POST", "/import", body);
      // The one below had its place for a moment.
      if (answer.status !== 429) return answer;
    }
  });
  await Promise.all(begun.map(({ promise }) => promise));
  while ((await api.ask("POST", "/import", "x")).status !== 429);
  gates.forEach(({ resolve }) => resolve());
  for (const answer of slow) assert.equal((await answer).status, 400);
  assert.equal((await api.ask("POST", "/import", "x")).status, 400);
});

Deno.test("DELETE waits until the end of a turn that waited is recorded: nothing comes behind the deletion", async () => {
  const order: string[] = [];
  const source = new ScriptedSource();
  source.endParked = async () => {
    // As a log far away would.
    await new Promise((resolve) => setTimeout(resolve, 0));
    order.push("ended");
    return [];
  };
  const exclusive = <T>(_session: string, work: () => Promise<T>) => {
    order.push("deleted");
    return work();
  };
  await using api = await openApi(() => Promise.resolve(source), { exclusive });
  const row = { user: "ann", agent: "default", channel: "tui", displayName: null, parent: null };
  await api.house.log.ensureSession({ ...row, id: "s" });
  api.house.resume({ session: "s", turn: "t" }, undefined);
  await (await source.next()).finish(stored("parked", { callId: "c", reason: "x" }));
  assert.equal((await api.ask("DELETE", "/s")).status, 200);
  assert.deepEqual(order, ["ended", "deleted"]);
});
