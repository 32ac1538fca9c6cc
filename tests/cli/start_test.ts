import assert from "node:assert/strict";
import { join } from "node:path";
import { runStart, toHeld, toProcessTier, toStartText } from "#/cli/start.ts";
import { stopUser } from "#/cli/control_client.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { healthOf } from "../fixture/health.ts";
import { denoEnv, makeMachine, waitUntil } from "../fixture/system.ts";
import { makeFolders, takeLock } from "../fixture/workspace.ts";
import { enterRealm } from "./realm.ts";

Deno.test("runStart() says what runs, stays, and ends with 0 when its socket is told to", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  const running = runStart({}, "1.2.3");
  await waitUntil(() => realm.out().includes("ends it."), "it does not come up");
  assert.match(realm.out(), new RegExp(`^oxydra runs for default \\(process ${Deno.pid}\\)\ntier +process\n`));
  await assert.rejects(runStart({}, "1.2.3"), { code: "lock_held" });
  await stopUser(controlPath(join(cwd, ".oxydra/workspaces/default/ipc")), "default");
  assert.equal(await running, 0);
  assert.match(realm.out(), /oxydra has stopped for default\n$/);
});

Deno.test("toProcessTier() takes the reference's --insecure for the tier, and says that no wall goes", () => {
  using realm = enterRealm({ cwd: "/", env: {} });
  assert.deepEqual(toProcessTier({ insecure: true, detach: true }), { detach: true, tier: "process" });
  assert.match(realm.err(), /removes no wall/);
  assert.deepEqual(toProcessTier({ insecure: true, tier: "process" }), { tier: "process" });
  assert.deepEqual(toProcessTier({ tier: "container" }), { tier: "container" });
  assert.throws(() => toProcessTier({ insecure: true, tier: "micro_vm" }), { code: "usage" });
});

Deno.test("toHeld() names the process, when it is known", async () => {
  const folders = makeFolders();
  assert.equal(toHeld(folders, "a").message, "already running for a: see `oxydra status`, or `oxydra restart`");
  const lock = await takeLock(folders.run);
  assert.match(toHeld(folders, "a").message, new RegExp(`for a \\(process ${Deno.pid}\\): see`));
  lock.release();
});

Deno.test("toStartText() shows what is there and what is missing, and no control character", () => {
  const lines = toStartText(healthOf({ shell_available: true, gateway: "127.0.0.1:1 \x1b[2J" }), {
    root: "/w",
    logs: "/w/logs",
  }).split("\n");
  assert.equal(lines[0], "oxydra runs for default (process 4711)");
  for (
    const line of [
      "tier       process",
      "shell      available",
      "browser    not available",
      "           no shell",
      "workspace  /w",
    ]
  ) {
    assert.ok(lines.includes(line), `${line} in\n${lines.join("\n")}`);
  }
  assert.ok(!lines.join("").includes("\x1b"));
});
