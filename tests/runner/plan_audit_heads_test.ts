import assert from "node:assert/strict";
import { planAuditHeads } from "#/runner/plan_audit_heads.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("planAuditHeads() opens one folder to read, and nothing else", () => {
  const plan = planAuditHeads({
    program: thisProgram(),
    env: { HOME: "/h", SECRET: "s" },
    internalDir: "/w/u/internal",
  });
  assert.deepEqual(plan.args.filter((arg) => /^--allow|^-A/.test(arg)), ["--allow-read=/w/u/internal"]);
  for (const flag of ["--no-prompt", "--cached-only", "--no-npm", "--no-lock", "--no-remote"]) {
    assert.ok(plan.args.includes(flag), flag);
  }
  assert.equal(plan.args.at(-1), "/w/u/internal/oxydra.db");
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h" });
});

Deno.test("planAuditHeads() takes modules of a program from a URL from its own host, and dies with its parent", () => {
  const program = {
    ...thisProgram(),
    srcUrl: "https://oxydra.example/src/",
    source: "url",
    setprivPath: "/usr/bin/setpriv",
  } as const;
  const { command, args } = planAuditHeads({ program, env: {}, internalDir: "/i" });
  assert.deepEqual([command, ...args.slice(0, 3)], ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]);
  assert.ok(args.includes("--allow-import=oxydra.example") && args.includes("--no-config"));
  assert.ok(args.includes("https://oxydra.example/src/cli/audit_heads.ts"));
});

Deno.test("planAuditHeads() refuses a path that the flag would read as two", () => {
  assert.throws(() => planAuditHeads({ program: thisProgram(), env: {}, internalDir: "/a,/etc" }), {
    code: "config_invalid",
  });
});
