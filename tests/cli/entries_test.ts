import assert from "node:assert/strict";
import { planAuditHeads } from "#/runner/plan_audit_heads.ts";
import { planClient } from "#/runner/plan_client.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { nameEntries } from "#/cli/entries.ts";
import { planInspector, planToolChild } from "#/runner/tool_host.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("nameEntries() names the entry of every process that is started with --cached-only", () => {
  const program = thisProgram();
  const plans = [
    planGuest({ program, env: {}, internalDir: "/i", lockPath: "/l", port: 0, hosts: [] }),
    planClient({ program, env: {}, port: 1, endpointPath: "/e", controlPath: "/c" }, []),
    planToolChild({ program, env: {} }),
    planInspector({ program, env: {} }),
    planAuditHeads({ program, env: {}, internalDir: "/i" }),
  ];
  const started = plans.map(({ args }) =>
    args.find((arg) => arg.startsWith(program.srcUrl))!.slice(program.srcUrl.length)
  );
  // Read, not called: calling one would run that process here.
  const named = nameEntries().map((entry) => /import\(["']#\/([\w/]+\.ts)["']\)/.exec(entry.toString())?.[1]);
  assert.deepEqual(named.sort(), started.sort());
});
