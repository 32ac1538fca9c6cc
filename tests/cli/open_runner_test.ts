import assert from "node:assert/strict";
import { openRunner } from "#/cli/open_runner.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import { denoEnv, makeMachine } from "../fixture/system.ts";
import { takeLock } from "../fixture/workspace.ts";
import { enterRealm } from "./realm.ts";

Deno.test("openRunner() starts a runner that says how it was asked, stops once, and gives the lock back, also after a failure", async () => {
  const machine = await makeMachine();
  using _realm = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), ...machine.env } });
  const place = await findPlace({});
  const folders = prepareWorkspace(place.user, place.loaded, place);
  const input = {
    ...{ ...place, folders, program: await openProgram(), version: "1.2.3", options: {}, since: Date.now() },
    ...{ plainText: false, startedWith: { detached: false, options: {} }, onNote: () => {} },
  };
  const runner = await openRunner(input, await takeLock(folders.run));
  assert.equal(acquireRunnerLock(folders.run, 1), null);
  assert.deepEqual([runner.health().user_id, runner.health().shutdown, runner.clients], ["default", false, 0]);
  assert.equal(runner.health().gateway, `127.0.0.1:${runner.endpoint.port}`);
  const stopped = runner.stop(1_000);
  assert.equal(runner.health().shutdown, true);
  await Promise.all([stopped, runner.stop(0), runner.closed, runner.close()]);
  // A network that nobody agreed to serve without TLS.
  const refused = { ...input, loaded: structuredClone({ ...place.loaded, config: { ...place.loaded.config } }) };
  Object.assign(refused.loaded.config, { gateway: { ...refused.loaded.config.gateway, bind: "0.0.0.0:9400" } });
  await assert.rejects(openRunner(refused, await takeLock(folders.run)));
  (await takeLock(folders.run)).release();
});
