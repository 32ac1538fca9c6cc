/** Other users of this machine, and files they left, in the places where the runner of a user is found. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { socketOf, WORKSPACE } from "../fixture/restarting.ts";
import { isAlive, makeMachine, runOxydra } from "../fixture/system.ts";
import { healthOf } from "../fixture/health.ts";

const STRANGER = 1001;
const isRoot = Deno.uid() === 0;

/** A workspace in which everything is made, and nothing runs. */
async function makeWorkspace() {
  const machine = await makeMachine();
  assert.equal((await runOxydra(["run", "list /shared"], machine)).code, 0);
  return machine;
}

Deno.test(
  "a socket of another user in the runner's place is not asked, whatever the command",
  { ignore: !isRoot },
  async () => {
    const machine = await makeWorkspace();
    const path = socketOf(machine);
    const asked: unknown[] = [];
    const listener = Deno.listen({ transport: "unix", path });
    const serving = (async () => {
      for await (const connection of listener) {
        asked.push(await readLengthJson(new ByteReader(connection.readable), LIMITS.controlBytesMax).catch(() => "?"));
        await connection.writable.getWriter().write(
          encodeLengthJson({ op: "health_status", payload: healthOf() }, 99_999),
        )
          .catch(() => {});
      }
    })();
    try {
      Deno.chownSync(path, STRANGER, STRANGER);
      for (const args of [["status"], ["stop"], ["restart", "--detach"], ["logs"], ["approvals"], ["reload"]]) {
        const { code, err, out } = await runOxydra(args, machine);
        assert.deepEqual([code, out], [2, ""], args.join(" "));
        assert.match(err, /runner-control\.sock belongs to another user of this machine \(uid 1001; this is uid 0\)/);
      }
      assert.deepEqual(asked, []);
    } finally {
      listener.close();
      await serving.catch(() => {});
    }
  },
);

Deno.test("files of another user in the runner's folders are named, and nothing starts beside them", {
  ignore: !isRoot,
}, async () => {
  const machine = await makeWorkspace();
  using _listener = Deno.listen({ transport: "unix", path: socketOf(machine) });
  for (const name of ["daemon.stderr.log", "sidecar.log"]) {
    Deno.writeTextFileSync(join(machine.cwd, WORKSPACE, "logs", name), "");
  }
  for (
    const name of [
      "run/runner.lock",
      "logs/runtime.log",
      "logs/daemon.stderr.log",
      "logs/sidecar.log",
      "ipc/runner-control.sock",
    ]
  ) {
    const path = join(machine.cwd, WORKSPACE, name);
    Deno.chownSync(path, STRANGER, STRANGER);
    // It ends by itself also where nobody looks.
    const { code, err } = await runOxydra(["run", "list /shared"], machine);
    assert.equal(code, 2, `${name}: ${err}`);
    assert.ok(err.includes(`${name} belongs to another user of this machine; remove it`), err);
    Deno.chownSync(path, 0, 0);
  }
  // A whole folder: the lock in it would be theirs to hold.
  Deno.chownSync(join(machine.cwd, WORKSPACE, "run"), STRANGER, STRANGER);
  for (const args of [["start", "--detach"], ["status"], ["stop"]]) {
    const { code, err } = await runOxydra(args, machine);
    assert.deepEqual([code, /run belongs to another user of this machine/.test(err)], [2, true], err);
  }
});

Deno.test("a process that the lock file names and that does not hold the lock is not ended", async () => {
  const machine = await makeWorkspace();
  const run = join(machine.cwd, WORKSPACE, "run");
  const victim = new Deno.Command("sleep", { args: ["600"] }).spawn();
  try {
    // This test holds the lock, and its file names somebody else.
    const lock = acquireRunnerLock(run, 1)!;
    Deno.writeTextFileSync(join(run, "runner.lock"), JSON.stringify({ pid: victim.pid, startedAt: 1 }));
    const { code, err } = await runOxydra(["stop", "--now"], machine);
    assert.equal(code, 2);
    assert.match(err, /its file does not say who/);
    assert.ok(isAlive(victim.pid));
    lock.release();
  } finally {
    if (isAlive(victim.pid)) victim.kill("SIGKILL");
    await victim.status;
  }
});
