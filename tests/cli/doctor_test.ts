import assert from "node:assert/strict";
import { join } from "node:path";
import { runDoctor } from "#/cli/doctor.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { denoEnv } from "../fixture/system.ts";
import { PROCESS_NAMES } from "../fixture/workspace.ts";
import { enterRealm, type Realm } from "./realm.ts";

async function examine(
  files: Readonly<Record<string, string>>,
  check: (realm: Realm, doctor: (options?: Parameters<typeof runDoctor>[0]) => Promise<number>) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  using machine = makeMachine(files);
  using realm = enterRealm({
    cwd: machine.cwd,
    // The walls are tried by real processes, which need the modules of this one.
    env: { ...denoEnv(), HOME: machine.home, ...env },
  });
  await check(realm, (options = {}) => runDoctor(options, "1.2.3"));
}

Deno.test("runDoctor() with --json lists each process with its flags and what it can reach", async () => {
  await examine({}, async (realm, doctor) => {
    assert.equal(await doctor({ json: true }), 0);
    const report = JSON.parse(realm.out());
    assert.deepEqual([report.version, report.ok, report.gateway], ["1.2.3", true, "not running"]);
    assert.deepEqual(report.model.provider, "demo");
    const names = report.processes.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, PROCESS_NAMES);
    for (const { name, args, reach } of report.processes) {
      assert.ok(reach.length > 0, name);
      const opens = args.filter((arg: string) => /^-A$|^--allow-(run|ffi|sys|env|all)/.test(arg));
      const known: Record<string, string[]> = { runner: ["-A"], tui: ["--allow-env=NODE_ENV,FORCE_COLOR"] };
      assert.deepEqual(opens, known[name] ?? [], name);
    }
    const child = report.processes.find(({ name }: { name: string }) => name === "tool child");
    assert.deepEqual(child.args.filter((arg: string) => arg.startsWith("--allow")), []);
    assert.deepEqual(report.tiers.map(({ name }: { name: string }) => name), [
      "process",
      "container",
      "micro_vm",
      "browser",
      "way out",
    ]);
    assert.ok(report.policy.some(({ effect }: { effect: string }) => effect === "allow"));
  });
});

Deno.test("runDoctor() says in words what is fine, and shows no value of the environment", async () => {
  await examine({}, async (realm, doctor) => {
    assert.equal(await doctor(), 0);
    assert.match(realm.out(), /✓ file walk: no link is followed/);
    assert.match(realm.out(), /✓ tool child: \d+ tries from inside, all refused/);
    assert.match(realm.out(), /✓ way out: 4 addresses inside asked for, all refused/);
    assert.match(realm.out(), /✓ shell: /);
    assert.match(realm.out(), /\nTIERS .*\n[✓✗] process {6}\S/);
    assert.match(realm.out(), /\n✓ way out {6}asks the runner about each connection\n/);
    assert.match(realm.out(), /✓ model: openai\//);
    assert.match(realm.out(), /connects to api\.openai\.com:443/);
    assert.match(realm.out(), /POLICY \(what is not named is denied\)/);
    assert.ok(!realm.out().includes("sk-very-secret"));
  }, { OPENAI_API_KEY: "sk-very-secret" });
});

Deno.test("runDoctor() names who answers instead, and the guest's flag opens their hosts", async () => {
  const files = {
    "home/.config/oxydra/agent.toml":
      '[selection]\nprovider = "openai"\nmodel = "o3"\n[[selection.fallback]]\nprovider = "near"\nmodel = "n"\n' +
      '[providers.registry.near]\nprovider_type = "openai"\nbase_url = "http://192.168.1.5:8000"\n',
  };
  await examine(files, async (realm, doctor) => {
    assert.equal(await doctor(), 0);
    assert.match(realm.out(), /✓ shell: /);
    assert.match(realm.out(), /\nTIERS .*\n[✓✗] process {6}\S/);
    assert.match(realm.out(), /\n✓ way out {6}asks the runner about each connection\n/);
    assert.match(realm.out(), /✓ model: openai\/o3, then near\/n\n/);
    assert.match(realm.out(), /✓ model catalog: o3: snapshot of \d{4}-\d\d-\d\d, n: synthetic\n/);
    assert.match(realm.out(), /connects to api\.openai\.com:443, 192\.168\.1\.5:8000/);
  }, { OPENAI_API_KEY: "sk-very-secret" });
});

Deno.test("runDoctor() tells of a trouble, goes on, and exits with the code of the first one", async () => {
  const files = { "work/.oxydra/agent.toml": '[selection]\nprovider = "anthropic"\nmodel = "m"\n' };
  await examine(files, async (realm, doctor) => {
    assert.equal(await doctor({ json: true, tier: "container" }), 2);
    const { ok, checks, model, processes } = JSON.parse(realm.out());
    assert.deepEqual([ok, model], [false, null]);
    const failed = checks.filter((check: { ok: boolean }) => !check.ok).map(({ name }: { name: string }) => name);
    assert.deepEqual(failed, ["tier", "model"]);
    assert.match(checks[0].detail, /container tier cannot be started.*--tier process/);
    assert.equal(processes.length, 8);
    assert.equal(processes.find(({ name }: { name: string }) => name === "guest").command, "docker");
  }, { DOCKER_HOST: "unix:///nowhere/docker.sock" });
});

Deno.test("runDoctor() shows the port of a gateway whose address is there", async () => {
  await examine({}, async (realm, doctor) => {
    await doctor({ json: true });
    const { workspace } = JSON.parse(realm.out());
    await Deno.writeTextFile(
      join(workspace, "ipc/gateway-endpoint"),
      `ws://127.0.0.1:4711/ws?token=${"t".repeat(43)}\n`,
    );
    const before = realm.out().length;
    assert.equal(await doctor({ json: true }), 0);
    const now = realm.out().slice(before);
    assert.equal(JSON.parse(now).gateway, "127.0.0.1:4711");
    assert.ok(!now.includes("t".repeat(43)), "the token is shown to nobody");
  });
});
