import assert from "node:assert/strict";
import { planModelProbe } from "#/runner/plan_model_probe.ts";
import { planAll } from "#/runner/plan_all.ts";
import { NO_TOOLS_PLAN } from "#/runner/plan_tools.ts";
import { nameEntries } from "#/cli/entries.ts";
import { nameTuiEntry } from "#/cli/tui_entries.ts";
import { withProbe } from "#/runner/self_check.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

Deno.test("nameEntries() names the entry of every process that is started with --cached-only, and the probe of their walls", () => {
  const program = thisProgram();
  const plans = planAll({ program, env: {}, folders: makeFolders(), port: 0, hosts: [], tools: NO_TOOLS_PLAN })
    .filter(({ name }) => name !== "runner" && name !== "tui");
  const trial = planModelProbe({ program, env: {}, lockPath: "lock", host: "acme.test:443" });
  const entries = [...plans, withProbe(plans[0]!, program), trial].map(({ args }) =>
    args.find((arg) => arg.startsWith(program.srcUrl))!.slice(program.srcUrl.length)
  );
  // Read, not called: calling one would run that process here.
  const named = nameEntries().map((entry) => /import\(["']#\/([\w/.]+)["'][,)]/.exec(entry.toString())?.[1]);
  // What a start with a real model loads besides; a first start with the demo must not leave it behind.
  const catalog = ["provider/catalog_snapshot.json", "runner/describe_start.ts"];
  assert.deepEqual(named.sort(), [...entries, ...catalog].sort());
  // Ink is fetched by whoever starts it, and by nobody else.
  assert.match(nameTuiEntry.toString(), /import\(["']#\/cli\/tui\.ts["']\)/);
});
