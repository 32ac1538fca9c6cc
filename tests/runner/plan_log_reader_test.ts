import assert from "node:assert/strict";
import { planLogReader } from "#/runner/plan_log_reader.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("planLogReader() opens one folder to read, and nothing else", () => {
  const plan = planLogReader({
    program: thisProgram(),
    env: { HOME: "/h", SECRET: "s" },
    internalDir: "/w/u/internal",
    question: ["usage", 1_000],
  });
  assert.deepEqual(plan.args.filter((arg) => /^--allow|^-A/.test(arg)), ["--allow-read=/w/u/internal"]);
  for (const flag of ["--no-prompt", "--cached-only", "--no-npm", "--no-lock", "--no-remote"]) {
    assert.ok(plan.args.includes(flag), flag);
  }
  assert.deepEqual(plan.args.slice(-3), ["/w/u/internal/oxydra.db", "usage", "1000"]);
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h" });
});

Deno.test("planLogReader() takes modules of a program from a URL from its own host, and dies with its parent", () => {
  const program = {
    ...thisProgram(),
    srcUrl: "https://oxydra.example/src/",
    source: "url",
    setprivPath: "/usr/bin/setpriv",
  } as const;
  const { command, args } = planLogReader({ program, env: {}, internalDir: "/i", question: ["heads"] });
  assert.deepEqual([command, ...args.slice(0, 3)], ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]);
  assert.ok(args.includes("--allow-import=oxydra.example") && args.includes("--no-config"));
  assert.ok(args.includes("https://oxydra.example/src/cli/log_reader.ts"));
});

Deno.test("planLogReader() refuses a path that the flag would read as two", () => {
  assert.throws(() => planLogReader({ program: thisProgram(), env: {}, internalDir: "/a,/etc", question: ["heads"] }), {
    code: "config_invalid",
  });
});
