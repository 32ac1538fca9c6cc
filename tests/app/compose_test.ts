import assert from "node:assert/strict";
import { join } from "node:path";
import type { Bootstrap } from "#/app/bootstrap.ts";
import { type ComposeDeps, type Guest, openGuest } from "#/app/compose.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { toSyntheticDescriptor } from "#/provider/descriptor.ts";
import { reply, text, usage } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { type FakeTool, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { Client, type Frame } from "../gateway/house.ts";
import { demoBootstrap } from "../fixture/workspace.ts";

/** A guest in this process, with a sandbox of functions behind it. */
interface Setting extends AsyncDisposable {
  readonly guest: Guest;
  readonly bootstrap: Bootstrap;
  readonly sandbox: RecordingSandbox;
  readonly heard: { counts: number[]; turns: number; reports: unknown[] };
}

async function openSetting(
  tools: Readonly<Record<string, FakeTool>> = {},
  overrides: Partial<Bootstrap> = {},
  deps: Partial<ComposeDeps> = {},
): Promise<Setting> {
  const bootstrap = demoBootstrap(await Deno.makeTempDir(), overrides);
  const sandbox = new RecordingSandbox(tools);
  const heard = { counts: [] as number[], turns: 0, reports: [] as unknown[] };
  const guest = await openGuest(bootstrap, {
    sandbox,
    fetch: () => Promise.reject(new Error("the demo fetches nothing")),
    now: Date.now,
    onClients: (count) => void heard.counts.push(count),
    onListening: () => Promise.resolve(),
    onTurns: () => {},
    onTurn: () => void heard.turns++,
    onResolved: () => {},
    report: (error) => void heard.reports.push(error),
    ...deps,
  });
  return { guest, bootstrap, sandbox, heard, [Symbol.asyncDispose]: () => guest.close() };
}

async function connect({ guest, bootstrap }: Setting, token = bootstrap.startToken): Promise<Client> {
  const headers = { authorization: `Bearer ${token}` };
  const client = await Client.open(`ws://127.0.0.1:${guest.port}/ws`, { headers });
  client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default", capabilities: ["turn_events"] });
  return client;
}

async function turn(client: Client, prompt: string): Promise<Frame> {
  client.turn(crypto.randomUUID(), prompt, { session_id: "runtime-default" });
  return await client.next("turn_completed");
}

Deno.test("openGuest() serves a turn whose tools go to the sandbox, as the agent of this user", async () => {
  await using setting = await openSetting({ file_write: () => "written", file_read: () => "rivers run" });
  await using client = await connect(setting);
  const done = await turn(client, "write a haiku about rivers to /shared/haiku.txt, then read it back");
  assert.equal(done.payload.turn.state, "completed");
  assert.deepEqual(setting.sandbox.requests.map(({ tool }) => tool), ["file_write", "file_read"]);
  for (const { principal, session } of setting.sandbox.requests) {
    assert.deepEqual(principal, { user: "default", agent: ["default"], origin: "channel" });
    assert.equal(session, "runtime-default");
  }
  assert.equal(setting.heard.turns, 1, "the runner is told that a turn begins");
  assert.deepEqual(setting.heard.counts, [1]);
  assert.deepEqual(setting.heard.reports, []);
});

Deno.test("openGuest() lets in with the token of this start and with the one that stays, and with no other", async () => {
  await using setting = await openSetting();
  const lasting = (await Deno.readTextFile(join(setting.bootstrap.internalDir, "gateway-token"))).trim();
  for (const token of [setting.bootstrap.startToken, lasting]) {
    await using client = await connect(setting, token);
    assert.equal((await client.next("gateway_info")).payload.model, "demo");
  }
  await assert.rejects(connect(setting, "x".repeat(43)));
});

Deno.test("openGuest() says where it listens, and makes ready for turns when that is heard", async () => {
  const heard = Promise.withResolvers<void>();
  const ports: number[] = [];
  const onListening = (port: number) => {
    ports.push(port);
    return heard.promise;
  };
  await using setting = await openSetting({}, {}, { onListening });
  assert.deepEqual(ports, [setting.guest.port]);
  const ready = await fetch(`http://127.0.0.1:${setting.guest.port}/readyz`);
  assert.deepEqual([ready.status, (await ready.json()).reasons], [503, ["the model is not open yet"]]);
  heard.resolve();
  await using client = await connect(setting);
  assert.equal((await turn(client, "hello")).payload.turn.state, "completed");
});

Deno.test("openGuest() keeps what was said for the next start in the same folder", async () => {
  const setting = await openSetting();
  const client = await connect(setting);
  await turn(client, "hello");
  await setting.guest.close();
  assert.equal((await client.closed).code, 1001);
  await using again = await openSetting({}, { internalDir: setting.bootstrap.internalDir });
  await using other = await connect(again);
  await turn(other, "hello again");
  await again.guest.close();
  const log = await openEventLog({ path: join(setting.bootstrap.internalDir, "oxydra.db"), now: Date.now });
  const asked = await log.read("runtime-default", { fromSeq: 0, limit: 100, types: ["user_message"] });
  await log.close();
  assert.deepEqual(asked.map(({ payload }) => (payload as { text: string }).text), ["hello", "hello again"]);
});

Deno.test("openGuest() refuses a second guest on the same log and a port that is taken, and holds nothing then", async () => {
  await using setting = await openSetting();
  const { internalDir } = setting.bootstrap;
  await assert.rejects(openSetting({}, { internalDir }), { code: "lock_held" });
  const other = await Deno.makeTempDir();
  await assert.rejects(openSetting({}, { internalDir: other, port: setting.guest.port }), {
    code: "config_invalid",
    message: /\[gateway\] bind: /,
  });
  // The log that it had opened is free again.
  await using after = await openSetting({}, { internalDir: other });
  assert.notEqual(after.guest.port, setting.guest.port);
});

Deno.test("openGuest() opens the provider of the bootstrap on the fetch it is given, with key and headers", async () => {
  const asked: Request[] = [];
  const model: Bootstrap["model"] = {
    provider: "vendor",
    type: "openai",
    model: "m-1",
    baseUrl: "http://127.0.0.1:9/v1",
    apiKey: "sk-0123456789",
    extraHeaders: { "x-team": "river" },
    reason: "a test",
  };
  await using setting = await openSetting({}, { model }, {
    fetch: (input, init) => {
      asked.push(new Request(input, init));
      return Promise.reject(new TypeError("no network"));
    },
  });
  await using client = await connect(setting);
  assert.equal((await client.next("gateway_info")).payload.provider, "vendor");
  client.turn("t", "hello", { session_id: "runtime-default" });
  const failed = await client.next("error");
  assert.match(failed.payload.message, /vendor/);
  assert.equal(asked.length, 1, "attemptsMax is 1");
  assert.equal(asked[0]!.url, "http://127.0.0.1:9/v1/chat/completions");
  assert.equal(asked[0]!.headers.get("authorization"), "Bearer sk-0123456789");
  assert.equal(asked[0]!.headers.get("x-team"), "river");
  assert.ok(!JSON.stringify(failed).includes("sk-0123456789"));
});

Deno.test("openGuest() asks the fallback with its own key and headers when the model cannot answer", async () => {
  const asked: Request[] = [];
  const base = { type: "openai", extraHeaders: {}, reason: "a test" } as const;
  const model = { ...base, provider: "main", model: "m-1", baseUrl: "http://127.0.0.1:9/v1", apiKey: "sk-main-1234" };
  const own = { baseUrl: "http://127.0.0.1:8/v1", apiKey: "sk-backup-1234", extraHeaders: { "x-team": "river" } };
  const fallback = [{ ...base, provider: "backup", model: "m-2", ...own }];
  await using setting = await openSetting({}, { model, fallback }, {
    fetch: async (input, init) => {
      const request = new Request(input, init);
      asked.push(request.clone());
      await request.body?.cancel();
      return Response.json({ error: { message: "no" } }, { status: 401 });
    },
  });
  await using client = await connect(setting);
  client.turn("t", "hello", { session_id: "runtime-default" });
  const { message } = (await client.next("error")).payload;
  assert.match(message, /^No model answered\.\n {2}main\/m-1: main refused .*\n {2}backup\/m-2: backup refused/);
  const seen = asked.map(({ url, headers }) => [url, headers.get("authorization"), headers.get("x-team")]);
  assert.deepEqual(seen, [
    ["http://127.0.0.1:9/v1/chat/completions", "Bearer sk-main-1234", null],
    ["http://127.0.0.1:8/v1/chat/completions", "Bearer sk-backup-1234", "river"],
  ]);
  const bodies = await Promise.all(asked.map((request) => request.json()));
  assert.deepEqual(bodies.map((body) => body.model), ["m-1", "m-2"]);
});

Deno.test("openGuest() offers no tools to a model that has none", async () => {
  const bodies: { tools?: unknown; messages: { content: string }[] }[] = [];
  const vendor = { provider: "vendor", type: "openai", model: "m-1", baseUrl: "http://127.0.0.1:9/v1" } as const;
  for (const id of ["m-1", "image-1"]) {
    const model = { ...vendor, descriptor: toSyntheticDescriptor(id, 128_000), extraHeaders: {}, reason: "a test" };
    await using setting = await openSetting({}, { model }, {
      fetch: async (input, init) => {
        bodies.push(await new Request(input, init).json());
        throw new TypeError("no network");
      },
    });
    await using client = await connect(setting);
    client.turn("t", "hello", { session_id: "runtime-default" });
    await client.next("error");
  }
  const [withTools, without] = bodies;
  assert.ok(Array.isArray(withTools!.tools) && withTools!.tools.length > 3);
  assert.equal(without!.tools, undefined);
  assert.ok(without!.messages[0]!.content.length < withTools!.messages[0]!.content.length);
});

Deno.test("openGuest() knows from the log what today cost, also a call that a crash cut off, and stops at the limit of a day", async () => {
  const vendor = await startFakeOpenAi(() => reply([text("hi")], { usage: usage(10, 5) }));
  const descriptor = {
    id: "m",
    name: "M",
    contextTokens: 128_000,
    outputTokens: 10,
    input: [],
    output: [],
    toolCall: true,
    reasoning: false,
    structuredOutput: false,
    price: { input: 10_000, output: 20_000 },
    source: "test",
  };
  const model = {
    provider: "vendor",
    type: "openai",
    model: "m",
    baseUrl: vendor.url,
    descriptor,
    extraHeaders: {},
    reason: "a test",
  } as const;
  const internalDir = await Deno.makeTempDir();
  const { settings } = demoBootstrap(internalDir);
  /** How turns end in a guest that opens now. */
  const ends = async (costPerDayMax: number, turns: number) => {
    await using setting = await openSetting({}, { model, internalDir, settings: { ...settings, costPerDayMax } }, {
      fetch,
    });
    await using client = await connect(setting);
    const found: string[] = [];
    for (let i = 0; i < turns; i++) {
      client.turn(crypto.randomUUID(), "hello", { session_id: "runtime-default" });
      while (found.length === i) {
        const { type, payload } = await client.next("turn_event");
        if (payload.event.type === "turn_done") found.push(`cost ${payload.event.payload.cost}`);
        if (payload.event.type === "turn_failed") found.push(payload.event.payload.message);
        assert.equal(type, "turn_event");
      }
    }
    return found;
  };
  const path = join(internalDir, "oxydra.db");
  try {
    assert.deepEqual(await ends(0.3, 3), [
      "cost 0.2",
      "cost 0.2",
      "$0.4000 of $0.3 are spent today. Go on after 00:00 UTC, or raise max_cost_per_day",
    ]);
    assert.match((await ends(0.4, 1))[0]!, /^\$0\.4000 of \$0\.4 are spent/);
    const log = await openEventLog({ path, now: Date.now });
    const [request] = await log.read("runtime-default", { fromSeq: 1, limit: 1, types: ["model_request"] });
    assert.ok(request?.type === "model_request" && request.payload.reserved! > 0.2);
    await log.append("runtime-default", "lost", [{
      type: "model_request",
      v: 1,
      payload: { ...request.payload, reserved: 2 },
    }], { durability: "normal" });
    await log.close();
    assert.match((await ends(2.4, 1))[0]!, /^\$2\.4000 of \$2\.4 are spent/);
    assert.deepEqual(await ends(2.5, 1), ["cost 0.2"]);
  } finally {
    await vendor.close();
  }
});

Deno.test("Guest.attachment() gives the bytes of the turn's own message, and says what there is instead", async () => {
  await using setting = await openSetting();
  await using client = await connect(setting);
  const session = "runtime-default";
  const pixels = Uint8Array.from({ length: 256 }, (_, at) => 255 - at);
  const attachments = [
    { mime_type: "image/png", data: pixels.toBase64() },
    { mime_type: "text/plain", data: new TextEncoder().encode("words").toBase64() },
  ];
  client.turn("with", "hello", { session_id: session, attachments });
  await client.next("turn_completed");
  client.turn("without", "hello", { session_id: session });
  await client.next("turn_completed");
  const { signal } = new AbortController();
  const get = (turn: string, index: number, of = session) =>
    setting.guest.attachment({ session: of, turn, index }, signal);
  assert.deepEqual(await get("with", 0), { mimeType: "image/png", content: pixels });
  assert.equal(new TextDecoder().decode((await get("with", 1)).content), "words");
  const none = (index: number, there: string) => ({
    code: "tool_failed",
    message: `There is no attachment ${index}: this message has ${there}`,
  });
  await assert.rejects(get("with", 2), none(2, "attachments 0 to 1"));
  await assert.rejects(get("without", 0), none(0, "no attachments"));
  await assert.rejects(get("never", 0), none(0, "no attachments"));
  await assert.rejects(get("with", 0, "other"), none(0, "no attachments"));
});
