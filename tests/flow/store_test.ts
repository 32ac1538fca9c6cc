/** Where conversations are kept, with real processes: a remote store, a damaged or newer one, backup and restore around a live gateway. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openLibsqlServer } from "../fake/libsql_server.ts";
import { connectRaw, makeMachine, runOxydra, startGateway } from "../fixture/system.ts";
import { change, namesIn, textsOf } from "../memory/store_kit.ts";

const TOKEN = "s3cret-store-token";
const INTERNAL = ".oxydra/workspaces/default/internal";

async function withRemoteMachine(
  body: (at: {
    readonly machine: { cwd: string; env: Record<string, string> };
    readonly server: Awaited<ReturnType<typeof openLibsqlServer>>;
    /** The database behind the server. */
    readonly path: string;
  }) => Promise<void>,
): Promise<void> {
  const made = await makeMachine();
  const path = join(made.cwd, "../remote.db");
  await using server = await openLibsqlServer(path, { token: TOKEN });
  const store = { OXYDRA__MEMORY__REMOTE_URL: server.url, OXYDRA__MEMORY__AUTH_TOKEN: TOKEN };
  const machine = { ...made, env: { ...made.env, ...store } };
  try {
    await body({ machine, server, path });
  } finally {
    await Deno.remove(join(made.cwd, ".."), { recursive: true });
  }
}

Deno.test("a turn is recorded on the remote store, the next process reads it there, and nothing of it is on this disk", async () => {
  await withRemoteMachine(async ({ machine, server, path }) => {
    const first = await runOxydra(["run", "--session", "far", "write a line to /shared/a.txt"], machine);
    assert.equal(first.code, 0, first.err);
    const events = textsOf(path).length;
    assert.ok(events > 3);
    assert.ok(!namesIn(join(machine.cwd, INTERNAL)).some((name) => name.startsWith("oxydra.db")));
    const second = await runOxydra(["run", "--session", "far", "list /shared"], machine);
    assert.equal(second.code, 0, second.err);
    assert.ok(textsOf(path).length > events);
    assert.ok(server.heads.every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
    assert.doesNotMatch(first.out + first.err + second.out + second.err, new RegExp(TOKEN));
    const host = new URL(server.url).host;
    for (const command of [["doctor"], ["posture"], ["config", "show"], ["doctor", "--json"], ["posture", "--json"]]) {
      const { code, out, err } = await runOxydra(command, machine);
      assert.equal(code, 0, err);
      assert.ok(out.includes(host), `${command}: ${out}`);
      assert.doesNotMatch(out + err, new RegExp(TOKEN), command.join(" "));
    }
    const { processes } = JSON.parse((await runOxydra(["doctor", "--json"], machine)).out);
    const guest = processes.find(({ name }: { name: string }) => name === "guest").args.join(" ");
    assert.match(guest, new RegExp(`--allow-net=127\\.0\\.0\\.1:0,${host} `));
    const usage = await runOxydra(["usage"], machine);
    assert.deepEqual([usage.code, /the event log is in the remote store/.test(usage.err)], [1, true], usage.err);
    const verify = await runOxydra(["audit", "verify"], machine);
    assert.deepEqual([verify.code, /cannot be compared: the event log is in the remote/.test(verify.out)], [1, true]);
  });
});

Deno.test("a remote store that is newer, refuses the token or is away ends the start with what to do, and without the token", async () => {
  await withRemoteMachine(async ({ machine, server, path }) => {
    assert.equal((await runOxydra(["run", "hello"], machine)).code, 0);
    change(path, "PRAGMA user_version=99");
    const newer = await runOxydra(["run", "hello"], machine);
    assert.match(
      newer.err,
      /remote store .* was written by a newer version.*Update the program, or set memory\.remote_url/s,
    );
    const env = { ...machine.env, OXYDRA__MEMORY__AUTH_TOKEN: "wr0ng" };
    const refused = await runOxydra(["run", "hello"], { ...machine, env });
    assert.match(refused.err, /remote store .* refuses memory\.auth_token/);
    await server[Symbol.asyncDispose]();
    const away = await runOxydra(["run", "hello"], machine);
    assert.match(away.err, /remote store .* cannot be reached/);
    for (const { code, out, err } of [newer, refused, away]) {
      assert.ok(code !== 0);
      assert.doesNotMatch(out + err, new RegExp(`${TOKEN}|wr0ng`));
    }
  });
});

Deno.test("a folder's own remote_url or auth_token does not count before its file is trusted", async () => {
  await withRemoteMachine(async ({ machine, server }) => {
    const { OXYDRA__MEMORY__REMOTE_URL: url, OXYDRA__MEMORY__AUTH_TOKEN: _, ...env } = machine.env;
    Deno.mkdirSync(join(machine.cwd, ".oxydra"));
    const file = join(machine.cwd, ".oxydra/agent.toml");
    Deno.writeTextFileSync(file, `[memory]\nremote_url = "${url}"\nauth_token = "${TOKEN}"\n`);
    const refused = await runOxydra(["run", "hello"], { cwd: machine.cwd, env });
    assert.equal(refused.code, 2);
    assert.match(refused.err, /memory\.remote_url.*oxydra trust/);
    assert.equal(server.heads.length, 0);
    // Another token for the person's own store is a widening as well.
    Deno.writeTextFileSync(file, '[memory]\nauth_token = "theirs"\n');
    const home = join(env.HOME!, ".config/oxydra");
    Deno.mkdirSync(home, { recursive: true });
    Deno.writeTextFileSync(join(home, "agent.toml"), `[memory]\nremote_url = "${url}"\nauth_token = "${TOKEN}"\n`);
    const swapped = await runOxydra(["run", "hello"], { cwd: machine.cwd, env });
    assert.deepEqual([swapped.code, server.heads.length], [2, 0], swapped.out);
    assert.match(swapped.err, /memory\.auth_token.*oxydra trust/);
    Deno.removeSync(join(home, "agent.toml"));
    Deno.writeTextFileSync(file, `[memory]\nremote_url = "${url}"\nauth_token = "${TOKEN}"\n`);
    const trust = await runOxydra(["trust", ".oxydra/agent.toml"], { cwd: machine.cwd, env });
    assert.equal(trust.code, 0, trust.err);
    const trusted = await runOxydra(["run", "hello"], { cwd: machine.cwd, env });
    assert.equal(trusted.code, 0, trusted.err);
    assert.ok(server.heads.length > 0);
  });
});

Deno.test("a damaged or newer event log ends the start with what to do and is left as it is; a backup brings it back", async () => {
  const machine = await makeMachine();
  const path = join(machine.cwd, INTERNAL, "oxydra.db");
  assert.equal((await runOxydra(["run", "--session", "s", "hello"], machine)).code, 0);
  assert.equal((await runOxydra(["backup", "b.db"], machine)).code, 0);
  const texts = textsOf(path);
  const cases: readonly (readonly [damage: () => void, message: RegExp])[] = [
    [
      () => change(path, "PRAGMA user_version=99"),
      /written by a newer version.*Update the program, or move oxydra\.db away/s,
    ],
    [() => change(path, "PRAGMA application_id=7"), /oxydra\.db is damaged.*another program.*oxydra restore/s],
    [
      () => Deno.writeTextFileSync(path, "rubbish".repeat(2_000)),
      /oxydra\.db is damaged.*left as it is.*oxydra restore|left as it was.*oxydra restore/s,
    ],
  ];
  for (const [damage, message] of cases) {
    damage();
    const before = Deno.readFileSync(path);
    const refused = await runOxydra(["run", "hello"], machine);
    assert.ok(refused.code !== 0);
    assert.match(refused.err, message);
    assert.deepEqual(Deno.readFileSync(path), before);
    const restored = await runOxydra(["restore", "b.db"], machine);
    assert.equal(restored.code, 0, restored.err);
    assert.deepEqual(textsOf(path), texts);
  }
  assert.equal((await runOxydra(["run", "--session", "s", "hello"], machine)).code, 0);
  await Deno.remove(join(machine.cwd, ".."), { recursive: true });
});

Deno.test("a backup is made while a gateway works and is whole; a restore waits until no gateway runs", async () => {
  const machine = await makeMachine();
  const gateway = await startGateway(machine);
  try {
    const client = await connectRaw(gateway, { create_new_session: true });
    const { payload } = await client.next((frame) => frame.type === "hello_ack");
    const session_id = payload.session.session_id;
    for (let turn = 0; turn < 3; turn++) {
      client.send("send_turn", { request_id: `r${turn}`, session_id, turn_id: `t${turn}`, prompt: "list /shared" });
      const ended = client.next((frame) => frame.type === "turn_completed");
      const backup = await runOxydra(["backup", "b.db", "--force", "--json"], machine);
      assert.equal(backup.code, 0, backup.err);
      await ended;
    }
    client.close();
    const refused = await runOxydra(["restore", "b.db"], machine);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /the gateway of this workspace runs/);
  } finally {
    await gateway.stop();
  }
  const restored = await runOxydra(["restore", "b.db"], machine);
  assert.equal(restored.code, 0, restored.err);
  await Deno.remove(join(machine.cwd, ".."), { recursive: true });
});
