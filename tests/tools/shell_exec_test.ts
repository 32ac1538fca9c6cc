import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";
import { ShellExecArgs, toConnects, toShellExec } from "#/tools/shell_exec.ts";
import type { Tool } from "#/core/tool.ts";

const TOOL = toShellExec(60) as Tool;

Deno.test("toShellExec() needs the command as it is, and one connection a host", () => {
  const args = {
    command: "curl x\n",
    network: ["PyPI.org", "pypi.org:443", "[::1]:8080", "10.0.0.1:22", "example.com:80"],
  };
  assert.deepEqual(TOOL.needs(parseArgs(TOOL, args)), [
    { kind: "shell", command: "curl x\n" },
    { kind: "connect", host: "pypi.org", port: 443 },
    { kind: "connect", host: "::1", port: 8080 },
    { kind: "connect", host: "10.0.0.1", port: 22 },
    { kind: "connect", host: "example.com", port: 80 },
  ]);
  assert.deepEqual(TOOL.needs(parseArgs(TOOL, { command: "" })), [{ kind: "shell", command: "" }]);
  assert.equal(TOOL.effect, "privileged");
  assert.ok(TOOL.timeoutMs > LIMITS.shellTimeoutSecsMax * 1_000);
  assert.match(TOOL.description, /60 s/);
});

Deno.test("toConnects() refuses what is neither a host nor a host with a port", () => {
  for (
    const text of [
      "http://a.example",
      "a.example/x",
      "u:p@a.example",
      "a b",
      "a.example:0",
      "a.example:99999",
      ":443",
      "[::1",
      "a\\b",
      "a?b",
    ]
  ) {
    assert.throws(() => toConnects([text]), { code: "tool_args_invalid" }, text);
  }
});

Deno.test("ShellExecArgs refuses what no card could show and no shell could take, and says what to do", () => {
  const max = LIMITS.shellCommandCharsMax;
  const at = (command: string) => ShellExecArgs.safeParse({ command }).error?.issues[0]?.message ?? "ok";
  assert.equal(at("x".repeat(max)), "ok");
  assert.match(at("x".repeat(max + 1)), /write a script/);
  for (const char of ["\0", "\u001b", "\r", "\u007f"]) assert.match(at(`a${char}b`), /control character/);
  assert.match(at("\ud800"), /surrogate/);
  assert.equal(at("a\n\tb é 漢 🎈"), "ok");
  const hosts = (count: number) => ({ command: "x", network: Array(count).fill("a.example") });
  assert.ok(ShellExecArgs.safeParse(hosts(LIMITS.shellHostsMax)).success);
  assert.ok(!ShellExecArgs.safeParse(hosts(LIMITS.shellHostsMax + 1)).success);
  const secs = (timeout_secs: number) => ShellExecArgs.safeParse({ command: "x", timeout_secs }).success;
  assert.deepEqual([0, 1, LIMITS.shellTimeoutSecsMax, LIMITS.shellTimeoutSecsMax + 1, 1.5].map(secs), [
    false,
    true,
    true,
    false,
    false,
  ]);
});
