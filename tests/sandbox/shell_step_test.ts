import assert from "node:assert/strict";
import type { ShellCall } from "#/sandbox/shell.ts";
import { SHELL_EXEC, toShellText } from "#/sandbox/shell_step.ts";
import type { StepDeps } from "#/sandbox/host_run.ts";

Deno.test("SHELL_EXEC runs the command of the grant, not that of the arguments, with the hosts of the grant alone", async () => {
  const calls: unknown[] = [];
  const deps: StepDeps = {
    capabilities: [{ kind: "shell", command: "granted" }, { kind: "connect", host: "a.example", port: 443 }],
    timeoutSecs: 60,
    path: "",
    host: () => Promise.reject(new TypeError("no files")),
    attachment: () => Promise.reject(new TypeError("none")),
    shell(call: Omit<ShellCall, "session">) {
      calls.push(call);
      return Promise.resolve({ exitCode: 0, text: "out\n", outputBytes: 4, cwd: "/shared", notes: [] });
    },
  };
  const [step] = SHELL_EXEC;
  assert.deepEqual(step!.kinds, ["shell", "connect"]);
  const nothing = new Uint8Array(0);
  const args = { command: "other", network: ["b.example"] };
  assert.equal((await step!.run(args, nothing, deps)).text, "[exit code 0, in /shared]\nout");
  await step!.run({ ...args, timeout_secs: 5 }, nothing, deps);
  const connect = [{ host: "a.example", port: 443 }];
  assert.deepEqual(calls, [
    { command: "granted", timeoutMs: 60_000, connect },
    { command: "granted", timeoutMs: 5_000, connect },
  ]);
  await assert.rejects(step!.run(args, nothing, { ...deps, capabilities: [] }), { code: "tool_denied" });
});

Deno.test("toShellText() says how it ended and where, then the output, then the notes", () => {
  assert.equal(
    toShellText({ text: "", outputBytes: 0, cwd: "/tmp", notes: ["one", "two"] }),
    "[no exit code, in /tmp]\n(no output)\n[one]\n[two]",
  );
  const long = toShellText({ exitCode: 1, text: "x", outputBytes: 1, cwd: `/shared/${"d".repeat(4_000)}`, notes: [] });
  assert.ok(long.length < 250);
});
