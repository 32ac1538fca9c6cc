import assert from "node:assert/strict";
import { join } from "node:path";
import { runSelfcheck } from "#/cli/selfcheck.ts";
import { checkWalls } from "#/cli/wall_checks.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { denoEnv, makeMachine as makeHome, runOxydra, startGateway } from "../fixture/system.ts";
import { makeFolders, PROCESS_NAMES, takeLock, thisProgram } from "../fixture/workspace.ts";
import { enterRealm } from "./realm.ts";

const INPUT = { program: thisProgram(), env: denoEnv(), port: 0, hosts: [], tools: NO_TOOLS_PLAN };

/** A Deno that opens more than it is told to. */
function makeLooseDeno(flag: string): string {
  const path = join(Deno.makeTempDirSync({ prefix: "oxydra-loose-" }), "deno");
  Deno.writeTextFileSync(path, `#!/bin/sh\nshift; exec "${Deno.execPath()}" run ${flag} "$@"\n`, { mode: 0o700 });
  return path;
}

Deno.test("runSelfcheck() tries every process and the way out, and says in words and as JSON that they hold", async () => {
  using machine = makeMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), HOME: machine.home } });
  assert.equal(await runSelfcheck({}), 0);
  assert.match(realm.out(), /✓ file walk +no link is followed/);
  assert.match(realm.out(), /every wall holds: \d+ tries in 10 places, \d+ ms/);
  const before = realm.out().length;
  assert.equal(await runSelfcheck({ json: true }), 0);
  const { ok, checks, elapsedMs } = JSON.parse(realm.out().slice(before));
  assert.deepEqual([ok, checks.map(({ name }: { name: string }) => name)], [
    true,
    ["file walk", ...PROCESS_NAMES.slice(1), "way out", "shell"],
  ]);
  assert.ok(elapsedMs > 0);
});

Deno.test("runSelfcheck() exits 2 for a wall that does not hold, and names it", async () => {
  using machine = makeMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), HOME: machine.home } });
  const { execPath } = Deno;
  const loose = makeLooseDeno("--allow-sys");
  Deno.execPath = () => loose;
  try {
    assert.equal(await runSelfcheck({}), 2);
  } finally {
    Deno.execPath = execPath;
  }
  assert.match(realm.out(), /✓ file walk /);
  assert.match(realm.out(), /✗ tool child +came through: ask the system \(done\)/);
  assert.match(realm.out(), /7 of 10 walls do not hold: the tools behind them are refused/);
});

Deno.test("checkWalls() names for each process what came through", async () => {
  const folders = makeFolders();
  const program = { ...INPUT.program, denoPath: makeLooseDeno("--allow-env") };
  const checks = await checkWalls({ ...INPUT, folders, program });
  for (const { name, ok, detail } of checks) {
    // What a flag ignores no other flag opens.
    const holds = name === "file walk" || name === "way out" || name === "tui";
    assert.equal(ok, holds, `${name}: ${detail}`);
    if (!holds) assert.match(detail, /came through: read the environment \(done\)/);
  }
  (await takeLock(folders.run)).release();
});

Deno.test("checkWalls() calls a process that cannot be tried no wall", async () => {
  const program = { ...INPUT.program, denoPath: "/nowhere/deno" };
  const checks = await checkWalls({ ...INPUT, folders: makeFolders(), program });
  assert.deepEqual(checks.filter(({ ok }) => ok).map(({ name }) => name), ["file walk"]);
});

Deno.test("selfcheck beside a gateway that lives leaves its files alone, and holds within two seconds", async () => {
  const machine = await makeHome();
  const gateway = await startGateway(machine);
  try {
    const view = join(gateway.workspace, "run/deno");
    const before = Deno.statSync(view).ino;
    const { code, out, err } = await runOxydra(["selfcheck", "--json"], machine);
    assert.equal(code, 0, out + err);
    assert.ok(JSON.parse(out).elapsedMs <= 2_000, out);
    assert.equal(Deno.statSync(view).ino, before);
  } finally {
    await gateway.stop();
  }
});
