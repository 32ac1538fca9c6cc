import assert from "node:assert/strict";
import type { ShellCall } from "#/sandbox/shell.ts";
import { runShellStep, type ShellStepDeps, toShellText } from "#/sandbox/shell_step.ts";

Deno.test("runShellStep() runs the command of the grant, not that of the arguments, with the hosts of the grant alone", async () => {
  const calls: unknown[] = [];
  const onOutput = () => {};
  const deps: ShellStepDeps = {
    capabilities: [{ kind: "shell", command: "granted" }, { kind: "connect", host: "a.example", port: 443 }],
    timeoutSecs: 60,
    onOutput,
    shell(call: Omit<ShellCall, "session">) {
      calls.push(call);
      return Promise.resolve({ exitCode: 0, text: "out\n", outputBytes: 4, cwd: "/shared", notes: [] });
    },
  };
  const args = { command: "other", network: ["b.example"] };
  assert.equal(await runShellStep(args, deps), "[exit code 0, in /shared]\nout");
  await runShellStep({ ...args, timeout_secs: 5 }, deps);
  const connect = [{ host: "a.example", port: 443 }];
  assert.deepEqual(calls, [
    { command: "granted", timeoutMs: 60_000, connect, onOutput },
    { command: "granted", timeoutMs: 5_000, connect, onOutput },
  ]);
  await assert.rejects(runShellStep(args, { ...deps, capabilities: [] }), { code: "tool_denied" });
});

Deno.test("toShellText() says how it ended and where, then the output, then the notes", () => {
  assert.equal(
    toShellText({ text: "", outputBytes: 0, cwd: "/tmp", notes: ["one", "two"] }),
    "[no exit code, in /tmp]\n(no output)\n[one]\n[two]",
  );
  const long = toShellText({ exitCode: 1, text: "x", outputBytes: 1, cwd: `/shared/${"d".repeat(4_000)}`, notes: [] });
  assert.ok(long.length < 250);
});
