import assert from "node:assert/strict";
import { runStop, stopRunner, toWanted } from "#/cli/stop.ts";
import { toFolders } from "#/config/user.ts";
import { openControl } from "#/runner/control.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import { healthOf, toControlDeps } from "../fixture/health.ts";
import { denoEnv, makeMachine } from "../fixture/system.ts";
import { takeLock } from "../fixture/workspace.ts";
import { enterRealm } from "./realm.ts";

Deno.test("toWanted() takes whole seconds within the bound, and --now before them", () => {
  assert.deepEqual(toWanted({}), { now: false });
  assert.deepEqual(toWanted({ timeout: "90" }), { drainMs: 90_000, now: false });
  assert.deepEqual(toWanted({ timeout: "3600" }).drainMs, 3_600_000);
  assert.deepEqual(toWanted({ timeout: "90", now: true }), { drainMs: 0, now: true });
  for (const timeout of ["", "-1", "1.5", "abc", "1e3", "3601", "99999999999"]) {
    assert.throws(() => toWanted({ timeout }), { code: "usage" }, timeout);
  }
});

Deno.test("runStop() says with exit 3 that nothing runs, and stops a runner over its socket", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  assert.equal(await runStop({}), 3);
  assert.equal(realm.err(), "oxydra does not run for default\n");
  const folders = toFolders(Deno.realPathSync(cwd) + "/.oxydra/workspaces/default");
  for (const dir of [folders.ipc, folders.run]) Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const asked: (number | undefined)[] = [];
  for (const [options, drainMs] of [[{ timeout: "20" }, 20_000], [{ now: true }, 0], [{}, 15_000]] as const) {
    const lock = await takeLock(folders.run);
    const control = openControl(folders.ipc, {
      ...toControlDeps({} as Approvals, () => healthOf({ active_turns: 1 })),
      stop: (ms) => {
        asked.push(ms);
        control.close();
        lock.release();
      },
    });
    assert.equal(await runStop(options), 0);
    assert.equal(asked.pop(), drainMs);
  }
  assert.match(realm.err(), /turns at work: 1; they have 20 s\noxydra has stopped for default \(0\.\d s\)\n/);
  assert.equal(await stopRunner({ user: { id: "default" }, folders }, { now: true }), false);
  await assert.rejects(runStop({ timeout: "x" }), { code: "usage" });
});
