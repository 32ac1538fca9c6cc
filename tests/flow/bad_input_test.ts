/** What a person or a script can do wrong at the command line, and Ctrl-C at any moment. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { denoEnv, isAlive, makeMachine, processTree, runOxydra, spawnOxydra, waitUntil } from "../fixture/system.ts";

Deno.test("a message that cannot be sent and a session that cannot be are said before anything starts", async () => {
  const machine = await makeMachine();
  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [["run", ""], /the message is empty/],
    [["run", " \t\n "], /the message is empty/],
    [["ask", "--", ...Array.from({ length: 5 }, () => "x".repeat(100_000))], /500004 characters; at most 400000/],
    [["run", "--session", "", "hello"], /1 to 256 characters/],
    [["run", "--session", "a".repeat(257), "hello"], /1 to 256 characters/],
    [["run", "--user", "../x", "hello"], /a user id is 1 to 32/],
    [["run", "--user", "", "hello"], /a user id is 1 to 32/],
  ];
  for (const [args, message] of wrong) {
    const { code, out, err } = await runOxydra(args, machine);
    assert.deepEqual([code, out], [2, ""], err);
    assert.match(err, message);
    assert.deepEqual([...Deno.readDirSync(machine.cwd)], [], "nothing was made");
  }
  for (const session of ["..", "a/b", "-x", "ü"]) {
    const { code, err } = await runOxydra(["run", `--session=${session}`, "hello"], machine);
    assert.equal(code, 2, err);
    assert.match(err, /has no session/);
  }
});

Deno.test("a message longer than one argument of a process may be arrives whole, and no process shows it", async () => {
  const machine = await makeMachine();
  const words = Array.from({ length: 4 }, (_, at) => `${at}${"\n".repeat(95_000)}`);
  assert.ok(words.join(" ").length < LIMITS.promptCharsMax);
  const { code, out, err } = await runOxydra(["ask", "--json", "--", ...words], machine);
  assert.equal(code, 0, err);
  const [first] = out.split("\n").map((line) => JSON.parse(line || "{}"));
  assert.equal(first.type, "user_message");
  assert.equal(first.payload.text, words.join(" "));
  const run = spawnOxydra(["run", "list /shared"], machine);
  const seen = new Set<string>();
  await waitUntil(() => {
    for (const pid of processTree(run.pid).filter((pid) => pid !== run.pid)) {
      try {
        const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
        if (line.includes("cli/client.ts")) seen.add(line);
      } catch {
        // It ended while we looked.
      }
    }
    return seen.size > 0 || !isAlive(run.pid);
  }, "no client");
  await run.output();
  assert.equal(seen.size, 1);
  for (const line of seen) assert.ok(!line.includes("list /shared"), line);
});

Deno.test("whoever reads only the first line ends the command quietly", async () => {
  const machine = await makeMachine();
  const run = spawnOxydra(["run", "list /shared"], machine);
  await run.stdout.cancel();
  const { code, stderr } = await run.output().catch(async () => ({
    code: (await run.status).code,
    stderr: new Uint8Array(await new Response(run.stderr).arrayBuffer()),
  }));
  assert.ok(code === 130 || code === 0, `${code}`);
  assert.doesNotMatch(new TextDecoder().decode(stderr), /internal error|at async|BrokenPipe/);
});

Deno.test("Ctrl-C at any moment of a run ends it with 130 or 0 and leaves no process", async () => {
  const machine = await makeMachine();
  for (let afterMs = 0; afterMs <= 480; afterMs += 40) {
    // A process group of its own, as a shell makes one; guest and tool children have theirs.
    const run = new Deno.Command("setsid", {
      args: [Deno.execPath(), "run", "-A", join(import.meta.dirname!, "../../mod.ts"), "run", "read /shared/none"],
      cwd: machine.cwd,
      clearEnv: true,
      env: { ...denoEnv(), ...machine.env },
      stdout: "null",
      stderr: "piped",
      stdin: "null",
    }).spawn();
    const seen = new Set<number>();
    const end = performance.now() + afterMs;
    await waitUntil(() => {
      for (const pid of processTree(run.pid)) seen.add(pid);
      return performance.now() >= end;
    }, "the moment");
    await new Deno.Command("kill", { args: ["-INT", "--", `-${run.pid}`], stderr: "null" }).output();
    const { code, stderr } = await run.output();
    assert.ok([0, 130].includes(code), `after ${afterMs} ms: ${code}\n${new TextDecoder().decode(stderr)}`);
    assert.doesNotMatch(new TextDecoder().decode(stderr), /internal error|at async/);
    await waitUntil(() => [...seen].every((pid) => !isAlive(pid)), `left after ${afterMs} ms`, 4_000);
  }
});
