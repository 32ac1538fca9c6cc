/** Who tries to come in where nobody opened, and to do more than a token is good for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { CLOSE } from "#/gateway/connection.ts";
import type { GatewayToken, Scope } from "#/gateway/token.ts";
import { newToken } from "#/lib/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { makeMachine as makeFolders } from "../config/layers_on_disk.ts";
import { makeMachine, runOxydra, startGateway, waitUntil } from "../fixture/system.ts";
import { Client, type House, openHouse, rawUpgrade, statusOf } from "../gateway/house.ts";
import { turnDone, userMessage } from "../gateway/scripted_source.ts";

/** A gateway with tokens that a test can change. */
interface Doors extends AsyncDisposable {
  readonly house: House;
  readonly tokens: GatewayToken[];
  readonly clock: { now: number };
  give(id: string, scope: Scope, expiresAt?: number): Promise<string>;
  open(token: string, hello?: Record<string, unknown>): Promise<Client>;
}

async function openDoors(): Promise<Doors> {
  const tokens: GatewayToken[] = [];
  const clock = { now: Date.now() };
  const house = await openHouse({ tokens: () => tokens, now: () => clock.now });
  tokens.push({ id: "owner", sha256: await sha256Hex(house.token), scope: "owner" });
  return {
    house,
    tokens,
    clock,
    async give(id, scope, expiresAt) {
      const token = newToken();
      tokens.push({ id, sha256: await sha256Hex(token), scope, ...(expiresAt === undefined ? {} : { expiresAt }) });
      house.recheck();
      return token;
    },
    async open(token, hello = {}) {
      const client = await Client.open(`ws://127.0.0.1:${house.port}/ws?token=${token}`);
      const capabilities = ["turn_events", "approvals", "named_sessions"];
      client.send("hello", { request_id: "h", protocol_version: 2, user_id: "ann", capabilities, ...hello });
      return client;
    },
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  };
}

async function statusWith(port: number, token: string, headers: Record<string, string> = {}): Promise<number> {
  const connection = await rawUpgrade(port, { Authorization: `Bearer ${token}`, ...headers });
  try {
    return await statusOf(connection);
  } finally {
    connection.close();
  }
}

Deno.test("a forged token, a hash, a piece of one and one of another gateway open nothing", async () => {
  await using doors = await openDoors();
  await using other = await openDoors();
  const { house, tokens } = doors;
  assert.equal(await statusWith(house.port, house.token), 101);
  for (
    const forged of [
      newToken(),
      other.house.token,
      tokens[0]!.sha256,
      house.token.slice(0, -1),
      `${house.token}A`,
      house.token.toUpperCase(),
      "owner",
      "undefined",
      "0".repeat(64),
    ]
  ) assert.equal(await statusWith(house.port, forged), 401, forged);
});

Deno.test("an expired token opens nothing, and what it had opened is closed, however the clock goes", async () => {
  await using doors = await openDoors();
  const { house, clock } = doors;
  const token = await doors.give("t", "owner", clock.now + 20);
  await using client = await doors.open(token);
  await client.next("hello_ack");
  clock.now += 20;
  assert.equal(await statusWith(house.port, token), 401);
  assert.equal((await client.closed).code, CLOSE.revoked);
  clock.now -= 5_000;
  assert.equal(await statusWith(house.port, token), 401, "the clock was set back");
});

Deno.test("a revoked token's connections are closed with a code, and no other", async () => {
  const machine = await makeMachine();
  const gateway = await startGateway(machine);
  try {
    const made = await runOxydra(["tokens", "create", "--name", "t", "--scope", "owner"], machine);
    const token = made.out.trim();
    const open = async (token: string) => {
      const client = await Client.open(`ws://127.0.0.1:${gateway.port}/ws?token=${token}`);
      client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
      await client.next("hello_ack");
      return client;
    };
    await using stays = await open(gateway.token);
    await using goes = await open(token);
    assert.equal((await runOxydra(["tokens", "revoke", "t"], machine)).code, 0);
    // The guest hears of it a moment after the command has ended.
    let code: number | undefined;
    void goes.closed.then((end) => code = end.code);
    await waitUntil(() => code !== undefined, "it stays open");
    assert.equal(code, CLOSE.revoked);
    await stays.drain();
    assert.equal(await statusWith(gateway.port, token), 401);
  } finally {
    await gateway.stop();
  }
});

Deno.test("a token that may read does nothing else, whatever frame it sends", async () => {
  await using doors = await openDoors();
  const { house } = doors;
  await using owner = await doors.open(house.token);
  await owner.next("gateway_info");
  await using reader = await doors.open(await doors.give("r", "read"));
  await reader.next("gateway_info");
  const place = { session_id: "runtime-ann" };
  const frames: readonly (readonly [string, Record<string, unknown>])[] = [
    ["send_turn", { ...place, turn_id: "t", prompt: "rm" }],
    ["cancel_active_turn", { ...place, turn_id: "" }],
    ["cancel_all_active_turns", {}],
    ["create_session", {}],
    ["approval_answer", { ...place, approval_id: "a", answer: "once" }],
  ];
  for (const [type, payload] of frames) {
    reader.send(type, { request_id: type, ...payload });
    const answers = (await reader.drain()).map(({ payload }) => `${payload.request_id} ${payload.code}`);
    assert.deepEqual(answers, [`${type} gateway_refused`]);
  }
  assert.deepEqual([house.source.turns.length, house.answers.length], [0, 0]);
  // What it may: watch.
  owner.turn("t");
  const turn = await house.source.next();
  await turn.emit(userMessage("seen"));
  assert.equal((await reader.next("turn_event")).payload.event.payload.text, "seen");
  await turn.finish(turnDone("x"));
  await reader.next("turn_completed");
  for (const hello of [{ create_new_session: true }, { session_id: "new-one" }]) {
    const other = await doors.open(await doors.give(`r-${JSON.stringify(hello)}`, "read"), hello);
    assert.equal((await other.any()).type, "error", JSON.stringify(hello));
    assert.equal((await other.closed).code, CLOSE.helloRefused);
  }
  assert.deepEqual((await house.log.listSessions("ann", { includeArchived: true })).map(({ id }) => id), [
    "runtime-ann",
  ]);
});

Deno.test("a token of a channel reaches no session that it did not begin", async () => {
  await using doors = await openDoors();
  const { house } = doors;
  await using owner = await doors.open(house.token);
  await owner.next("gateway_info");
  await using channel = await doors.open(await doors.give("c1", "channel"));
  const own = (await channel.next("hello_ack")).payload.session.session_id;
  await channel.next("gateway_info");
  assert.equal(own, "api-c1");
  await using second = await doors.open(await doors.give("c2", "channel"), { session_id: "api-c2-theirs" });
  await second.next("hello_ack");
  const refuse = async (type: string, payload: Record<string, unknown>) => {
    channel.send(type, { request_id: type, ...payload });
    const [refused] = await channel.drain();
    assert.deepEqual([refused?.type, refused?.payload.request_id], ["error", type]);
    return refused!.payload.message as string;
  };
  for (const session_id of ["runtime-ann", "api-c2-theirs"]) {
    assert.match(await refuse("switch_session", { session_id }), /has no session/);
    assert.match(await refuse("switch_session", { session_id: session_id.slice(0, 6) }), /has no session/);
    assert.match(await refuse("send_turn", { session_id, turn_id: "t", prompt: "x" }), /in another session/);
    assert.match(await refuse("resume", { session_id, from: 0 }), /in another session/);
    const named = await doors.open(await doors.give(`named-${session_id}`, "channel"), { session_id });
    assert.equal((await named.any()).type, "error");
    assert.equal((await named.closed).code, CLOSE.helloRefused);
  }
  assert.match(
    await refuse("approval_answer", { session_id: own, approval_id: "a", answer: "once" }),
    /good for `channel`/,
  );
  channel.send("list_sessions", { request_id: "l", include_archived: true, include_subagent_sessions: true });
  const { payload: { sessions } } = await channel.next("session_list");
  assert.deepEqual(sessions.map((row: { session_id: string }) => row.session_id), [own]);
  owner.turn("t");
  const turn = await house.source.next();
  await turn.emit(userMessage());
  assert.match(await refuse("cancel_all_active_turns", {}), /no turn to cancel/);
  assert.equal(turn.signal.aborted, false);
  channel.turn("mine", "hi", { session_id: own });
  const mine = await house.source.next();
  assert.equal(mine.message.channel, "api:c1");
  await turn.finish(turnDone("x"));
  await mine.finish(turnDone("x"));
});

Deno.test("a token of a channel takes no name that the person may come to use, and reads nothing that they write under it", async () => {
  await using doors = await openDoors();
  const { house } = doors;
  const token = await doors.give("c1", "channel");
  for (const session_id of ["runtime-ann", "work", "api-c2", "api-c10", "api-c1x"]) {
    await using early = await doors.open(token, { session_id });
    assert.equal((await early.any()).type, "error", session_id);
  }
  assert.deepEqual(await house.log.listSessions("ann", { includeArchived: true }), []);
  await using own = await doors.open(token, { session_id: "api-c1-work" });
  assert.equal((await own.any()).type, "hello_ack");
});

Deno.test("a page behind a rebound name, and a page of another origin, reach nothing", async () => {
  await using doors = await openDoors();
  const { house } = doors;
  const status = (headers: Record<string, string>) => statusWith(house.port, house.token, headers);
  assert.equal(await status({ Origin: `http://127.0.0.1:${house.port}` }), 101);
  for (const host of ["evil.test", `evil.test:${house.port}`, "127.0.0.1", `127.0.0.1.evil.test:${house.port}`]) {
    assert.equal(await status({ Host: host }), 403, host);
    assert.equal(await status({ Host: host, Origin: `http://${host}` }), 403, host);
    assert.equal(
      await status({ Host: `127.0.0.1:${house.port}`, "X-Forwarded-Host": host, Host2: host }),
      101,
      "no proxy",
    );
  }
  for (
    const origin of ["http://evil.test", "null", `https://127.0.0.1:${house.port}`, "http://127.0.0.1:1", "file://"]
  ) {
    assert.equal(await status({ Origin: origin }), 403, origin);
  }
});

Deno.test("guessing is slowed down, for guesses alone, and fills no memory", async () => {
  await using doors = await openDoors();
  const { house, clock } = doors;
  const statuses: number[] = [];
  for (let at = 0; at < LIMITS.failedAsksBurstMax + 20; at++) statuses.push(await statusWith(house.port, newToken()));
  assert.equal(statuses.filter((status) => status === 401).length, LIMITS.failedAsksBurstMax);
  assert.ok(statuses.slice(LIMITS.failedAsksBurstMax).every((status) => status === 429), String(statuses));
  assert.equal(await statusWith(house.port, house.token), 101, "the person is not kept out by a neighbour");
  clock.now += 1_000;
  assert.equal(await statusWith(house.port, newToken()), 401);
});

Deno.test("a client that sends frames without end is told to wait, and its frames are not obeyed", async () => {
  await using doors = await openDoors();
  const { house } = doors;
  await using owner = await doors.open(house.token);
  await owner.next("gateway_info");
  await using reader = await doors.open(await doors.give("r", "read"));
  await reader.next("gateway_info");
  for (let at = 0; at < LIMITS.tokenAsksBurstMax + 5; at++) reader.send("health_check", { request_id: `${at}` });
  const answers: string[] = [];
  while (answers.length < LIMITS.tokenAsksBurstMax + 5) answers.push((await reader.any()).type);
  assert.deepEqual([...new Set(answers.slice(0, -7))], ["health_status"], "the upgrade and hello count as well");
  assert.deepEqual([...new Set(answers.slice(-7))], ["error"]);
  await owner.drain();
});

Deno.test("no file of a workspace and no line of a log has a token, but for the two that are made to hold one", async () => {
  const machine = await makeMachine();
  const gateway = await startGateway(machine);
  const made = await runOxydra(["tokens", "create", "--name", "t", "--scope", "read"], machine);
  const mine = made.out.trim();
  const wrong = newToken();
  const own = await Client.open(`ws://127.0.0.1:${gateway.port}/ws?token=${gateway.token}`);
  own.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
  own.send("send_turn", { request_id: "t", session_id: "runtime-default", turn_id: "t", prompt: "list /shared" });
  await own.next("turn_completed");
  own.send(gateway.token, {});
  await own.next("error");
  const reader = await Client.open(`ws://127.0.0.1:${gateway.port}/ws`, {
    protocols: ["oxydra.v2", `oxydra.token.${mine}`],
  });
  reader.send("hello", { request_id: "h", protocol_version: 9, user_id: "default" });
  await reader.closed;
  for (const path of [`/ws?token=${wrong}`, `/${gateway.token}`, `/nothing?token=${gateway.token}`]) {
    const connection = await rawUpgrade(gateway.port, {}, path);
    await statusOf(connection);
    connection.close();
  }
  await own[Symbol.asyncDispose]();
  const file = (await Deno.readTextFile(join(gateway.workspace, "internal/gateway-token"))).trim();
  const held: string[] = [];
  const search = (folder: string) => {
    for (const { name, isDirectory, isFile } of Deno.readDirSync(folder)) {
      const path = join(folder, name);
      if (isDirectory && !/run\/deno$/.test(path)) search(path);
      if (!isFile) continue;
      const bytes = new TextDecoder("latin1").decode(Deno.readFileSync(path));
      for (const [kind, token] of Object.entries({ start: gateway.token, file, mine, wrong })) {
        if (bytes.includes(token)) held.push(`${kind} in ${path.slice(gateway.workspace.length)}`);
      }
    }
  };
  search(gateway.workspace);
  const errors = gateway.errors();
  await gateway.stop();
  assert.deepEqual(held.sort(), ["file in /internal/gateway-token", "start in /ipc/gateway-endpoint"]);
  for (const token of [gateway.token, file, mine, wrong]) assert.ok(!errors.includes(token));
});

Deno.test("a cloned folder opens no door to the network, and gives the gateway no name that a page could have", async () => {
  for (
    const line of [
      'bind = "0.0.0.0:9000"',
      'bind = "10.0.0.5:9000"',
      'public_hosts = ["evil.test"]',
      "trusted_proxy = true",
      "plain_text_to_the_network = true",
      'tls_cert_file = "/etc/ssl/x"',
      'tls_key_file = "/etc/ssl/x"',
    ]
  ) {
    using machine = makeFolders({ "work/.oxydra/agent.toml": `[gateway]\n${line}` });
    const error = await machine.refuse();
    assert.equal(error.code, "config_untrusted", line);
    assert.match(error.message, /oxydra trust/);
  }
  using machine = makeFolders({ "work/.oxydra/agent.toml": '[gateway]\nbind = "127.0.0.1:9000"' });
  assert.equal((await machine.load()).config.gateway.bind, "127.0.0.1:9000", "on loopback it is nobody's business");
});

Deno.test("one slip puts no conversation on the network: the configuration alone does not, nor does the flag", async () => {
  const machine = await makeMachine();
  const env = {
    ...machine.env,
    OXYDRA__GATEWAY__BIND: "0.0.0.0:59999",
    OXYDRA__GATEWAY__PUBLIC_HOSTS: "a.test",
  };
  for (
    const [more, flags] of [
      [{}, []],
      [{ OXYDRA__GATEWAY__PLAIN_TEXT_TO_THE_NETWORK: "true" }, []],
      [{}, ["--plain-text-to-the-network"]],
    ] as const
  ) {
    const { code, err } = await runOxydra(["run", ...flags, "hello"], { cwd: machine.cwd, env: { ...env, ...more } });
    assert.deepEqual([code, /in plain text; set tls_cert_file/.test(err)], [2, true], err);
  }
});
