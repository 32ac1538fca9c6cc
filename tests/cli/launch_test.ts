import assert from "node:assert/strict";
import { join } from "node:path";
import { launchClient } from "#/cli/launch.ts";
import { denoEnv, makeMachine, processTree, startGateway } from "../fixture/system.ts";
import { takeLock } from "../fixture/workspace.ts";
import { enterRealm } from "./realm.ts";

const WORKSPACE = ".oxydra/workspaces/default";

async function withMachine(check: (cwd: string) => Promise<void>): Promise<void> {
  const { cwd, env } = await makeMachine();
  using _realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  await check(cwd);
}

/** Command lines of the processes below this one that name the folder. */
function processesOf(cwd: string): string[] {
  return processTree(Deno.pid).flatMap((pid) => {
    try {
      const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
      return line.includes(cwd) ? [line] : [];
    } catch {
      return [];
    }
  });
}

Deno.test("launchClient() starts a gateway, runs one turn as its client and leaves nothing behind but the workspace", async () => {
  await withMachine(async (cwd) => {
    assert.equal(await launchClient("run", "write hello to /shared/a.txt", {}, "1.2.3"), 0);
    assert.ok((await Deno.stat(join(cwd, WORKSPACE, "shared/a.txt"))).size > 0);
    assert.deepEqual(processesOf(cwd), []);
    await assert.rejects(Deno.stat(join(cwd, WORKSPACE, "ipc/gateway-endpoint")), Deno.errors.NotFound);
    (await takeLock(join(cwd, WORKSPACE, "run"))).release();
  });
});

Deno.test("launchClient() returns the exit code of its turn", async () => {
  await withMachine(async () => {
    assert.equal(await launchClient("run", "read /vault/key", {}, "1.2.3"), 5);
  });
});

Deno.test("launchClient() attaches to the gateway that lives, and leaves it alive", async () => {
  const machine = await makeMachine();
  const gateway = await startGateway(machine);
  using _realm = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), ...machine.env } });
  const guests = () => processesOf(machine.cwd).filter((line) => line.includes("app/guest.ts"));
  const before = guests();
  assert.equal(await launchClient("run", "write hello to /shared/a.txt", {}, "1.2.3"), 0);
  assert.deepEqual([before.length, guests()], [1, before]);
  // The gateway answers with its own model: another one by name is refused, not put in its place.
  assert.equal(await launchClient("run", "hello", { model: "demo/other" }, "1.2.3"), 2);
  assert.equal(await gateway.stop(), 0);
});

Deno.test("launchClient() refuses before it starts anything", async () => {
  const cases = [
    ["", {}, "usage"],
    ["hello", { model: "no-slash" }, "usage"],
    ["hello", { tier: "container" }, "tier_unavailable"],
    ["hello", { user: "../root" }, "config_invalid"],
    ["hello", { model: "nobody/m" }, "config_invalid"],
  ] as const;
  for (const [prompt, options, code] of cases) {
    await withMachine(async (cwd) => {
      await assert.rejects(launchClient("run", prompt, options, "1.2.3"), { code });
      assert.deepEqual(processesOf(cwd), []);
    });
  }
});

Deno.test("launchClient() gives the lock back when the model that was asked for cannot be served", async () => {
  await withMachine(async (cwd) => {
    await assert.rejects(launchClient("run", "hello", { model: "openai/gpt" }, "1.2.3"), { code: "config_invalid" });
    (await takeLock(join(cwd, WORKSPACE, "run"))).release();
  });
});
