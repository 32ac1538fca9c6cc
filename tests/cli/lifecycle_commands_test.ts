import assert from "node:assert/strict";
import { Command, Option } from "commander";
import { addLifecycleCommands, type CommandKit } from "#/cli/lifecycle_commands.ts";

/** Parses a command line and returns the file it would load and what that would get. */
async function parse(args: readonly string[]): Promise<{ path: string; options: Record<string, unknown> }> {
  let found: { path: string; options: Record<string, unknown> } | undefined;
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  const run = ((path: string) => (options: Record<string, unknown>) => {
    found = { path, options };
    return Promise.resolve();
  }) as unknown as CommandKit["run"];
  const add: CommandKit["add"] = (parent, name, about, options) => {
    const command = parent.command(name).description(about);
    for (const option of options) command.addOption(option);
    return command;
  };
  const [common, gateway] = [[new Option("--user <id>")], [new Option("--user <id>"), new Option("--model <m>")]];
  addLifecycleCommands({ program, run, add, common, gateway, document: new Option("--json") }, "1.2.3");
  await program.parseAsync([...args], { from: "user" });
  return found!;
}

Deno.test("addLifecycleCommands() adds every flag of the specification", async () => {
  const cases: readonly (readonly [string, string, Record<string, unknown>])[] = [
    ["start", "./start.ts", {}],
    ["start --detach --insecure --model a/b --user x", "./start.ts", {
      detach: true,
      insecure: true,
      model: "a/b",
      user: "x",
    }],
    ["stop --timeout 5", "./stop.ts", { timeout: "5" }],
    ["stop --now", "./stop.ts", { now: true }],
    ["restart --detach --now", "./restart.ts", { detach: true, now: true }],
    ["status --json", "./status.ts", { json: true }],
    ["logs", "./logs.ts", { role: "runtime", stream: "both", format: "text" }],
    ["logs --tail -f", "./logs.ts", { role: "runtime", stream: "both", format: "text", tail: true, follow: true }],
    [
      "logs --role all --stream stderr --tail 50 --since 15m --format json --follow",
      "./logs.ts",
      { role: "all", stream: "stderr", tail: "50", since: "15m", format: "json", follow: true },
    ],
    ["service --for launchd --system --env-file f", "./service.ts", { for: "launchd", system: true, envFile: "f" }],
  ];
  for (const [line, path, options] of cases) {
    assert.deepEqual(await parse(line.split(" ")), { path, options }, line);
  }
});

Deno.test("addLifecycleCommands() refuses values that no flag has", async () => {
  for (
    const line of [
      "logs --role shell",
      "logs --stream out",
      "logs --format xml",
      "logs --since",
      "service --for upstart",
      "stop --timeout",
      "start now",
    ]
  ) {
    await assert.rejects(parse(line.split(" ")), line);
  }
});
