import assert from "node:assert/strict";
import { planLogCopier } from "#/runner/plan_log_copier.ts";
import { planModelProbe } from "#/runner/plan_model_probe.ts";
import { planAll } from "#/runner/plan_all.ts";
import { nameEntries } from "#/cli/entries.ts";
import { nameTuiEntry } from "#/cli/tui_entries.ts";
import { withProbe } from "#/runner/self_check.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

Deno.test("nameEntries() names the entry of every process that is started with --cached-only, and the probe of their walls", () => {
  const program = thisProgram();
  const plans = planAll({ program, env: {}, folders: makeFolders(), port: 0, hosts: [], tools: NO_TOOLS_PLAN })
    .filter(({ name }) => name !== "runner" && name !== "tui");
  const trial = planModelProbe({ program, env: {}, lockPath: "lock", host: "acme.test:443" });
  const copier = planLogCopier({ program, env: {}, internalDir: "/i", copy: { what: "backup", scratchDir: "/s" } });
  const entries = [...plans, withProbe(plans[0]!, program), trial, copier].map(({ args }) =>
    args.find((arg) => arg.startsWith(program.srcUrl))!.slice(program.srcUrl.length)
  );
  // Read, not called: calling one would run that process here.
  const named = nameEntries().map((entry) => /import\(["']#\/([\w/.]+)["'][,)]/.exec(entry.toString())?.[1]);
  // What a start with a real model loads besides; a first start with the demo must not leave it behind.
  const catalog = ["provider/catalog_snapshot.json", "runner/describe_start.ts"];
  // What a runner that lives loads when the gateway listens, is asked, or has another configuration; it has no network for it by then.
  const later = [
    "cli/reread.ts",
    "runner/control_frames.ts",
    "runner/read_logs.ts",
    "runner/reload.ts",
    "runner/watch_files.ts",
  ];
  // What puts a guest into a container, and carries its connections out of it.
  const boxed = ["runner/guest_box.ts", "runner/relay.ts"];
  // What holds shells and browsers, its processes and its ways out: a runner from a URL has one version of all of it.
  const walled = [
    ...["browser", "browser_plan", "browsers", "shell_rules", "shell_rules_process", "shells"],
    ...["tier_bwrap", "tier_container", "tier_seatbelt", "tunnel_client", "tunnel_egress", "tunnel_forward"],
  ].map((name) => `sandbox/${name}.ts`);
  const found = ["runner/find_browser.ts", "runner/shell_host.ts", "config/credential_refs.ts"];
  assert.deepEqual(named.sort(), [...entries, ...catalog, ...later, ...boxed, ...walled, ...found].sort());
  // Ink is fetched by whoever starts it, and by nobody else.
  assert.match(nameTuiEntry.toString(), /import\(["']#\/cli\/tui\.ts["']\)/);
});
