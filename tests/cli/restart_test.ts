import assert from "node:assert/strict";
import { join } from "node:path";
import { stopUser } from "#/cli/control_client.ts";
import { runRestart, toStart } from "#/cli/restart.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { denoEnv, makeMachine, waitUntil } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

Deno.test("toStart() starts as before, unless options of a start are given now; where it runs stays as it was", () => {
  const before = { detached: true, options: { env: ["A=b"], model: "demo/demo" } };
  assert.deepEqual(toStart({}, null), {});
  assert.deepEqual(toStart({ detach: true }, null), { detach: true });
  assert.deepEqual(toStart({}, before), { ...before.options, detach: true });
  assert.deepEqual(toStart({ user: "a", config: "/c" }, before), {
    ...before.options,
    user: "a",
    config: "/c",
    detach: true,
  });
  assert.deepEqual(toStart({ model: "openai/x" }, before), { model: "openai/x", detach: true });
  assert.deepEqual(toStart({ detach: true }, { ...before, detached: false }), { ...before.options, detach: true });
  assert.deepEqual(toStart({}, { ...before, detached: false }), { ...before.options, detach: false });
});

Deno.test("runRestart() starts where nothing ran, and stops nothing for flags that mean nothing", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  await assert.rejects(runRestart({ timeout: "soon" }, "1.2.3"), { code: "usage" });
  const running = runRestart({}, "1.2.3");
  await waitUntil(() => realm.out().includes("ends it."), "it does not come up");
  assert.match(realm.err(), /^oxydra did not run for default; it is started\n/);
  await stopUser(controlPath(join(cwd, ".oxydra/workspaces/default/ipc")), "default", 0);
  assert.equal(await running, 0);
});
