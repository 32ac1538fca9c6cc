import assert from "node:assert/strict";
import { main } from "#/cli/main.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";

/** Runs a command line that starts no process. */
async function run(args: readonly string[], files: Readonly<Record<string, string>> = {}) {
  using machine = makeMachine(files);
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  const code = await main(args, "1.2.3");
  return { code, out: realm.out(), err: realm.err() };
}

Deno.test("main() answers --version and --help on stdout", async () => {
  const version = await run(["--version"]);
  assert.deepEqual([version.code, version.err], [0, ""]);
  assert.match(version.out, /^oxydra 1\.2\.3 \(deno \d/);
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  for (
    const word of [
      "run",
      "chat",
      "config",
      "audit",
      "approvals",
      "status",
      "posture",
      "selfcheck",
      "doctor",
      "trust",
      "Exit codes:",
    ]
  ) {
    assert.ok(help.out.includes(word), word);
  }
  for (
    const command of [
      ["run"],
      ["chat"],
      ["config"],
      ["config", "show"],
      ["audit", "verify"],
      ["audit", "show"],
      [
        "doctor",
      ],
      ["trust"],
      ["status"],
      ["posture"],
      ["selfcheck"],
      ["approvals"],
      ["approvals", "list"],
      ["approvals", "answer"],
    ]
  ) {
    const { code, out } = await run([...command, "--help"]);
    assert.deepEqual([code, /Usage:/.test(out)], [0, true], command.join(" "));
  }
});

Deno.test("main() refuses what is no command line, with exit 2 and a word on stderr", async () => {
  const lines = [
    ["runn", "hello"],
    ["run"],
    ["run", "--model"],
    ["run", "--nonsense", "hello"],
    ["run", "--tier", "moon", "hello"],
    ["config", "shows"],
    ["doctor", "--tier", "moon"],
    ["posture", "--tier", "moon"],
    ["approvals", "answer"],
    ["approvals", "answer", "an id", "perhaps"],
    ["trust"],
    ["run", "--model", "no-slash", "hello"],
  ];
  for (const line of lines) {
    const { code, out, err } = await run(line);
    assert.deepEqual([code, out], [2, ""], line.join(" "));
    assert.notEqual(err, "", line.join(" "));
  }
  assert.match((await run(["docter"])).err, /did you mean.*doctor/is);
});

Deno.test("main() gives the exit code of what went wrong", async () => {
  const { code, out, err } = await run(["config", "show"], { "work/.oxydra/agent.toml": "[runtime]\nmax_turn = 5" });
  assert.deepEqual([code, out], [2, ""]);
  assert.match(err, /^oxydra: .*agent\.toml:2: runtime\.max_turn/);
  assert.ok(!err.includes("    at "), "a mistake of the person has no stack");
  const tier = await run(["run", "--tier", "container", "hello"]);
  assert.equal(tier.code, 2);
});

Deno.test("main() runs the command that was named", async () => {
  const { code, out } = await run(["config", "show", "--json"]);
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).user, "default");
});
