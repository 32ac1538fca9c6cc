import assert from "node:assert/strict";
import { join } from "node:path";
import { DAEMON_LOGS, planDaemon, toOwnCommand } from "#/runner/plan_daemon.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("toOwnCommand() names this Deno, this program's modules and the file that it was started from", () => {
  const program = thisProgram();
  const [deno, ...all] = toOwnCommand(program, "file:///opt/a b/mod.ts");
  const args = all.filter((arg) => !arg.startsWith("--v8-flags="));
  assert.equal(deno, program.denoPath);
  assert.deepEqual(args.slice(0, 4), ["run", "-A", "--no-prompt", "--config"]);
  assert.ok(args[4]!.endsWith("/deno.json"));
  assert.equal(args[5], "file:///opt/a b/mod.ts");
  const remote = toOwnCommand(
    { ...program, source: "url", srcUrl: "https://example.org/src/" },
    "https://example.org/mod.ts",
  );
  assert.deepEqual(remote.slice(1), [
    "run",
    "-A",
    "--no-prompt",
    "--v8-flags=--max-semi-space-size=1",
    "--no-config",
    "https://example.org/mod.ts",
  ]);
});

Deno.test("planDaemon() appends what the process writes to its two files, in a session of its own, as the process that was started", async () => {
  const logsDir = join(await Deno.makeTempDir(), "it's a $(folder)");
  await Deno.mkdir(logsDir);
  await Deno.writeTextFile(join(logsDir, DAEMON_LOGS.stderr), "before\n");
  // Its own id, its session, the words that no shell may touch, and one for stderr.
  const command = [
    "/bin/sh",
    "-c",
    'echo "$$ $(cut -d" " -f6 /proc/$$/stat) $1 $FOO"; echo oops >&2',
    "sh",
    "a b $HOME `id`",
  ];
  const plan = planDaemon(command, { logsDir, env: { FOO: "bar", PATH: "/usr/bin:/bin" } });
  const child = spawn(plan, { detached: true, stdin: "null", stdout: "null", stderr: "null" });
  assert.equal((await child.status).code, 0);
  const out = await Deno.readTextFile(join(logsDir, DAEMON_LOGS.stdout));
  assert.equal(out, `${child.pid} ${child.pid} a b $HOME \`id\` bar\n`);
  assert.equal(await Deno.readTextFile(join(logsDir, DAEMON_LOGS.stderr)), "before\noops\n");
});
