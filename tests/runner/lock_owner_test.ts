import assert from "node:assert/strict";
import { join } from "node:path";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { signalLockHolder } from "#/runner/lock_owner.ts";
import { SRC } from "../fixture/source_tree.ts";
import { isAlive } from "../fixture/system.ts";

const HOLDER = `const [lock, dir] = Deno.args;
const { acquireRunnerLock } = await import(lock);
acquireRunnerLock(dir, Date.now());
console.log("held");
setInterval(() => {}, 1_000_000);`;

Deno.test("signalLockHolder() ends the process that holds the lock, and no other one whose id the file names", async () => {
  const dir = Deno.realPathSync(Deno.makeTempDirSync());
  assert.throws(() => signalLockHolder(dir, "SIGTERM"), { code: "lock_held" });
  const script = join(dir, "holder.ts");
  Deno.writeTextFileSync(script, HOLDER);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", join(SRC, "../deno.json"), script, join(SRC, "runner/lock.ts"), dir],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "held\n");
  const path = join(dir, "runner.lock");
  const held = Deno.readTextFileSync(path);
  // A process that is alive and is not it: the parent of this test.
  for (const pid of [Deno.ppid, 999_999_999]) {
    Deno.writeTextFileSync(path, JSON.stringify({ pid, startedAt: 1 }));
    assert.throws(() => signalLockHolder(dir, "SIGKILL"), { code: "lock_held" });
  }
  assert.ok(isAlive(Deno.ppid) && isAlive(child.pid));
  Deno.writeTextFileSync(path, held);
  assert.equal(acquireRunnerLock(dir, 1), null);
  assert.equal(signalLockHolder(dir, "SIGTERM"), child.pid);
  assert.equal((await child.status).signal, "SIGTERM");
  await reader.cancel();
});
