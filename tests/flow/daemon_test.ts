/** `oxydra start` and its kin in real processes: one daemon a user, which outlives its clients, stops in good order and says what it does. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readStartedWith } from "#/cli/control_client.ts";
import { LIMITS } from "#/core/limits.ts";
import { reply, text, toolCall, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { Script } from "../fake/openai_server.ts";
import {
  type Place,
  read,
  Running,
  says,
  socketOf,
  statusOf,
  waitForHealth,
  WORKSPACE,
} from "../fixture/restarting.ts";
import { isAlive, makeMachine, processTree, runOxydra, waitUntil } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

const never = new Promise<void>(() => {});

/** Runs the body beside a daemon in the background, which is gone afterwards whatever happened. */
async function withDaemon(
  place: Place,
  body: (pid: number) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  const started = await runOxydra(["start", "--detach", ...args], place);
  assert.equal(started.code, 0, started.err);
  const pid = Number(/\(process (\d+)\)/.exec(started.out)![1]);
  try {
    await body(pid);
  } finally {
    if (isAlive(pid)) await runOxydra(["stop", "--now"], place);
  }
}

/** Session, controlling terminal (0: none) and parent of a process (proc(5)). */
function statOf(pid: number): { session: number; terminal: number } {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return { session: Number(fields[3]), terminal: Number(fields[4]) };
}

async function isGone(pids: readonly number[]): Promise<void> {
  await waitUntil(() => pids.every((pid) => !isAlive(pid)), `still alive: ${pids.filter(isAlive)}`, 5_000);
}

Deno.test("start --detach returns when the gateway listens; run attaches, and the daemon outlives it until stop", async () => {
  const machine = await makeMachine();
  await withDaemon(machine, async (pid) => {
    assert.deepEqual(statOf(pid), { session: pid, terminal: 0 });
    const status = await statusOf(machine);
    assert.deepEqual([status.state, status.runner!.pid, status.clients], ["running", pid, 0]);
    for (const word of ["one", "two"]) {
      const run = await runOxydra(["run", `write ${word} to /shared/${word}.txt`], machine);
      assert.equal(run.code, 0, run.err);
    }
    assert.equal((await statusOf(machine)).runner!.pid, pid, "the same daemon");
    const pids = processTree(pid);
    const stop = await runOxydra(["stop"], machine);
    assert.deepEqual([stop.code, stop.out], [0, ""]);
    assert.match(stop.err, /^oxydra: it stops; no turn is at work\noxydra has stopped for default \(\d+\.\d s\)\n$/);
    await isGone(pids);
    for (const name of ["gateway-endpoint", "runner-control.sock"]) {
      assert.equal(read(join(machine.cwd, WORKSPACE, "ipc", name)), "");
    }
    const again = await runOxydra(["stop"], machine);
    assert.deepEqual([again.code, again.err], [3, "oxydra does not run for default\n"]);
    assert.equal((await statusOf(machine)).state, "stopped");
    // What it did is still there to be read.
    const logs = await runOxydra(["logs"], machine);
    assert.match(logs.out, /\[process_file\]\[runtime\]\[stdout\] oxydra runs for default/);
    assert.match(logs.out, /\[process_file\]\[runtime\]\[stderr\] runner: it has stopped\n/);
    assert.ok(!/write one|write two|token=/.test(logs.out), "neither prompts nor tokens");
  });
});

Deno.test("a daemon started twice: the second one names the first and ends with 2, here and in the background", async () => {
  const machine = await makeMachine();
  await withDaemon(machine, async (pid) => {
    for (const args of [["start"], ["start", "--detach"]]) {
      const second = await runOxydra(args, machine);
      assert.deepEqual([second.code, second.out], [2, ""]);
      assert.match(second.err, new RegExp(`^oxydra: already running for default \\(process ${pid}\\): see`));
    }
    assert.equal((await statusOf(machine)).runner!.pid, pid);
  });
});

Deno.test("four daemons started at the same instant: exactly one wins, and the others say who", async () => {
  const machine = await makeMachine();
  const starts = await Promise.all(Array.from({ length: 4 }, () => runOxydra(["start", "--detach"], machine)));
  try {
    assert.deepEqual(starts.map(({ code }) => code).sort(), [0, 2, 2, 2], starts.map(({ err }) => err).join("\n"));
    const pid = (await statusOf(machine)).runner!.pid;
    for (const { code, out, err } of starts) assert.match(code === 0 ? out : err, new RegExp(`\\(process ${pid}\\)`));
  } finally {
    assert.equal((await runOxydra(["stop"], machine)).code, 0);
  }
});

Deno.test("a start that cannot start says why and gives its exit code, in the background as well", async () => {
  const { cwd, env } = await makeMachine();
  const bad = await runOxydra(["start", "--detach"], { cwd, env: { ...env, OXYDRA__SELECTION__PROVIDER: "nobody" } });
  assert.equal(bad.code, 2);
  assert.match(bad.err, /^oxydra: OXYDRA__SELECTION__PROVIDER: selection\.provider/);
  const tier = await runOxydra(["start", "--detach", "--insecure", "--tier", "container"], { cwd, env });
  assert.deepEqual([tier.code, /--insecure means --tier process/.test(tier.err)], [2, true]);
  // What only the process in the background finds out: its disk refuses the event log.
  await Deno.mkdir(join(cwd, WORKSPACE, "internal/oxydra.db"), { recursive: true });
  const late = await runOxydra(["start", "--detach"], { cwd, env });
  assert.notEqual(late.code, 0);
  assert.match(late.err, /^oxydra: /);
  assert.equal((await runOxydra(["status"], { cwd, env })).code, 3);
});

Deno.test("stop during a turn waits for its end; the turn is whole", async () => {
  const gate = Promise.withResolvers<void>();
  const script: Script = () => reply([text("The answer "), waitFor(gate.promise), text("is 42.")]);
  await withVendorMachine(script, async (machine) => {
    await withDaemon(machine, async () => {
      const run = new Running(["run", "--json", "what is it"], machine);
      await run.until(() => run.out.includes("swer"), "no delta");
      const stop = new Running(["stop", "--timeout", "60"], machine);
      await stop.until(() => stop.err.includes("turns at work: 1; they have 60 s"), "not told");
      assert.equal((await waitForHealth(machine, ({ shutdown }) => shutdown)).active_turns, 1);
      gate.resolve();
      assert.equal(await stop.exited, 0, stop.err);
      assert.ok(!stop.err.includes("did not end"), stop.err);
      assert.match(run.out, /"type":"turn_done"/);
      assert.equal(await run.exited, 0, run.err);
    });
  });
});

Deno.test("stop --now during a turn suspends it, and the next start goes on with it", async () => {
  let calls = 0;
  const script: Script = () =>
    ++calls === 1 ? reply([text("Lost "), waitFor(never)]) : reply([text("The answer is 42.")]);
  await withVendorMachine(script, async (machine) => {
    await withDaemon(machine, async () => {
      const run = new Running(["run", "--json", "what is it"], machine);
      await run.until(() => run.out.includes("Lost"), "no delta");
      // The second one only shortens the first.
      const first = new Running(["stop", "--timeout", "3600"], machine);
      await first.until(() => first.err.includes("turns at work: 1"), "not told");
      const stop = await runOxydra(["stop", "--now"], machine);
      assert.equal(stop.code, 0, stop.err);
      assert.match(stop.err, /it is stopping already; turns at work: 1/);
      assert.match(stop.err, /1 turn did not end in time and will go on at the next start/);
      assert.equal(await first.exited, 0, first.err);
      await run.until(() => /oxydra: .*(gateway|turn)/.test(run.err), "the client is not told");
      assert.notEqual(await run.exited, 0, run.err);
    });
    await withDaemon(machine, async () => {
      await waitForHealth(machine, ({ active_turns }) => active_turns === 0 && calls === 2);
      const sessions = await runOxydra(["sessions", "list", "--json"], machine);
      const [{ id }] = JSON.parse(sessions.out).sessions;
      const shown = await runOxydra(["sessions", "export", id], machine);
      assert.match(shown.out, /"type":"resumed"[^]*The answer is 42\./);
      assert.ok(!shown.out.includes(`"type":"turn_cancelled"`), "a stop is no cancel");
    });
  });
});

Deno.test("SIGKILL of a daemon: its socket and address are stale, stop says that nothing runs, and start works", async () => {
  const machine = await makeMachine();
  await withDaemon(machine, async (pid) => {
    const pids = processTree(pid);
    Deno.kill(pid, "SIGKILL");
    await isGone(pids);
    assert.ok(Deno.lstatSync(socketOf(machine)).isSocket);
    assert.equal((await runOxydra(["stop"], machine)).code, 3);
    assert.equal((await runOxydra(["status"], machine)).code, 3);
  });
  await withDaemon(machine, async () => {
    assert.equal((await runOxydra(["run", "list /shared"], machine)).code, 0);
  });
});

Deno.test("stop while it starts waits for it and stops it", async () => {
  const machine = await makeMachine();
  const start = new Running(["start"], machine);
  await start.until(() => read(join(machine.cwd, WORKSPACE, "run/runner.lock")) !== "", "no lock");
  const stop = await runOxydra(["stop"], machine);
  assert.equal(stop.code, 0, stop.err);
  assert.equal(await start.exited, 0, start.err);
});

Deno.test("a daemon whose socket is gone is stopped by a signal; one that hangs is killed by --now", async () => {
  const machine = await makeMachine();
  await withDaemon(machine, async (pid) => {
    Deno.removeSync(socketOf(machine));
    const stop = await runOxydra(["stop", "--now"], machine);
    assert.equal(stop.code, 0, stop.err);
    assert.match(stop.err, new RegExp(`process ${pid} does not answer at its socket, so it is sent SIGTERM`));
    assert.ok(!isAlive(pid));
  });
  await withDaemon(machine, async (pid) => {
    const pids = processTree(pid);
    Deno.removeSync(socketOf(machine));
    Deno.kill(pid, "SIGSTOP");
    const stop = await runOxydra(["stop", "--now"], machine);
    assert.equal(stop.code, 0, stop.err);
    await isGone(pids);
  });
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`start stays without clients and ends with 0 on ${signal}`, async () => {
    const machine = await makeMachine();
    const start = new Running(["start", "--insecure"], machine);
    await start.until(() => start.out.includes("`oxydra stop` ends it"), "not up");
    assert.match(start.err, /--insecure means --tier process and removes no wall/);
    assert.match(start.out, /tier +process\n/);
    assert.ok(!start.out.includes("token"));
    // A client that comes and goes changes nothing.
    assert.equal((await runOxydra(["run", "list /shared"], machine)).code, 0);
    assert.equal((await statusOf(machine)).state, "running");
    start.child.kill(signal);
    assert.equal(await start.exited, 0, start.err);
    assert.match(start.out, /oxydra stops\noxydra has stopped for default\n$/);
  });
}

Deno.test("two users of one runner.toml run at once on ports of their own and see nothing of each other", async () => {
  const machine = await makeMachine();
  await Deno.mkdir(join(machine.cwd, ".oxydra"));
  const toUser = (id: string) => `[users.${id}]\nconfig_path = "${id}.toml"\n`;
  await Deno.writeTextFile(
    join(machine.cwd, ".oxydra/runner.toml"),
    `default_tier = "process"\n${toUser("a")}${toUser("b")}`,
  );
  for (const id of ["a", "b"]) await Deno.writeTextFile(join(machine.cwd, `.oxydra/${id}.toml`), "");
  const without = await runOxydra(["start", "--detach"], machine);
  assert.deepEqual([without.code, /--user/.test(without.err)], [2, true], without.err);
  const started = await Promise.all(
    ["a", "b"].map((user) => runOxydra(["start", "--detach", "--user", user], machine)),
  );
  try {
    assert.deepEqual(started.map(({ code }) => code), [0, 0], started.map(({ err }) => err).join("\n"));
    const status = async (user: string) =>
      JSON.parse((await runOxydra(["status", "--json", "--user", user], machine)).out);
    const [a, b] = [await status("a"), await status("b")];
    assert.deepEqual([a.state, b.state, a.user, b.user], ["running", "running", "a", "b"]);
    assert.equal(new Set([a.gateway, b.gateway]).size + new Set([a.runner.pid, b.runner.pid]).size, 4);
    assert.equal((await runOxydra(["run", "--user", "a", "write mine to /shared/a.txt"], machine)).code, 0);
    const seen = await runOxydra(["run", "--user", "b", "read /shared/a.txt"], machine);
    assert.ok(!seen.out.includes("mine"), seen.out);
    const sessions = async (user: string) =>
      JSON.parse((await runOxydra(["sessions", "list", "--json", "--user", user], machine)).out).sessions;
    const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);
    const [ofA, ofB] = [ids(await sessions("a")), ids(await sessions("b"))];
    assert.ok(ofA.length > 0 && ofB.length > 0 && !ofA.some((id) => ofB.includes(id)));
    // The token of one opens nothing of the other.
    const token = new URL(read(join(machine.cwd, ".oxydra/workspaces/a/ipc/gateway-endpoint")).trim()).searchParams.get(
      "token",
    );
    const answer = await fetch(`http://${b.gateway}/api/v1/sessions`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.body?.cancel();
    assert.equal(answer.status, 401);
    assert.equal((await runOxydra(["stop", "--user", "a"], machine)).code, 0);
    assert.deepEqual([(await status("a")).state, (await status("b")).state], ["stopped", "running"]);
  } finally {
    for (const user of ["a", "b"]) await runOxydra(["stop", "--now", "--user", user], machine);
  }
});

Deno.test("a guest that is killed under the daemon comes back and its turn goes on; one that cannot stay ends the daemon with 1", async () => {
  let calls = 0;
  const script: Script = (body) => {
    if (toolResults(body).length === 0) return reply([toolCall("file_list", { path: "/shared" })]);
    return ++calls === 1 ? reply([text("Lost "), waitFor(never)]) : reply([text("The answer is 42.")]);
  };
  await withVendorMachine(script, async (machine) => {
    const start = new Running(["start"], machine);
    await start.until(() => start.out.includes("ends it"), "not up");
    const run = new Running(["run", "what is it"], machine);
    await run.until(() => run.out.includes("Lost"), "no delta");
    Deno.kill(start.guest()!.pid, "SIGKILL");
    assert.equal(await run.exited, 0, run.err);
    assert.match(run.out, /The answer is 42\./);
    let code: number | undefined;
    void start.exited.then((exit) => code = exit);
    const killed = new Set<number>();
    await start.until(() => {
      const guest = start.guest();
      if (guest !== undefined && !killed.has(guest.pid) && read(join(machine.cwd, WORKSPACE, "ipc/gateway-endpoint"))) {
        killed.add(guest.pid);
        Deno.kill(guest.pid, "SIGKILL");
      }
      return code !== undefined || killed.size > LIMITS.guestCrashesMax;
    }, "it does not end");
    assert.equal(await start.exited, 1);
    assert.match(start.err, /ended by itself more than 5 times[^]*oxydra logs/);
    assert.equal((await runOxydra(["stop"], machine)).code, 3);
  });
});

Deno.test("restart starts it as it was, with options that no command line shows; a bad configuration stops nothing", async () => {
  const machine = await makeMachine();
  await withDaemon(machine, async (pid) => {
    assert.ok(!read(`/proc/${pid}/cmdline`).includes("hunter2"));
    const config = join(machine.cwd, ".oxydra/agent.toml");
    await Deno.writeTextFile(config, "[selection]\nprovider = 7\n");
    const refused = await runOxydra(["restart"], machine);
    assert.deepEqual([refused.code, isAlive(pid)], [2, true], refused.err);
    await Deno.remove(config);
    const again = await runOxydra(["restart"], machine);
    assert.equal(again.code, 0, again.err);
    const next = (await statusOf(machine)).runner!.pid;
    assert.ok(next !== pid && !isAlive(pid));
    const kept = await readStartedWith(socketOf(machine));
    assert.deepEqual([kept!.detached, kept!.options.env], [true, ["SOME_WORD=hunter2"]]);
    const other = await runOxydra(["restart", "--model", "demo/demo"], machine);
    assert.equal(other.code, 0, other.err);
    assert.deepEqual((await readStartedWith(socketOf(machine)))!.options.env, undefined);
  }, ["--env", "SOME_WORD=hunter2"]);
  assert.equal((await runOxydra(["stop"], machine)).code, 0);
  const fresh = await runOxydra(["restart", "--detach"], machine);
  assert.match(fresh.err, /did not run for default; it is started/);
  assert.equal((await runOxydra(["stop"], machine)).code, 0);
});

Deno.test("logs -f shows what comes, over a restart, until it is interrupted", async () => {
  await withVendorMachine(says("fine"), async (machine) => {
    await withDaemon(machine, async () => {
      const logs = new Running(["logs", "-f", "--tail", "0", "--format", "json"], machine);
      await logs.until(() => logs.err.includes("following the logs of default"), "not following");
      assert.equal((await runOxydra(["restart"], machine)).code, 0);
      await logs.until(() => /it has stopped[^]*it runs as process/.test(logs.out), "not told");
      for (const line of logs.out.trim().split("\n")) assert.equal(JSON.parse(line).source, "process_file");
      logs.child.kill("SIGINT");
      assert.equal(await logs.exited, 0, logs.err);
    });
    assert.equal((await runOxydra(["stop"], machine)).code, 0);
  });
});
