import assert from "node:assert/strict";
import { fromFileUrl } from "../fixture/source_tree.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { openShellRules, planShellRules } from "#/sandbox/shell_rules.ts";
import type { ShellRulesConfig } from "#/sandbox/shell_rules_decide.ts";

const ROOT = new URL("../../", import.meta.url);
const OPEN: ShellRulesConfig = { allow: ["*"], deny: [], replace_defaults: false, allow_operators: true };
const STRICT: ShellRulesConfig = { ...OPEN, allow: ["ls"], replace_defaults: true };
const NEVER = new AbortController().signal;

const PLAN = planShellRules({
  denoPath: Deno.execPath(),
  entryUrl: new URL("src/sandbox/shell_rules_process.ts", ROOT).href,
  moduleFlags: [
    "--no-prompt",
    "--cached-only",
    `--lock=${fromFileUrl(new URL("deno.lock", ROOT))}`,
    "--frozen",
    "--no-remote",
    "--config",
    fromFileUrl(new URL("deno.json", ROOT)),
  ],
  env: Deno.env.toObject(),
});

/** A parser that behaves as the script says. */
const fake = (script: string) => ({ command: "/bin/sh", args: ["-c", script], env: {} });
const reasonOf = (verdict: Awaited<ReturnType<ReturnType<typeof openShellRules>["check"]>>) =>
  verdict.allowed ? "" : verdict.reason;

Deno.test("planShellRules() gives the parser no permission and no environment of ours", () => {
  const plan = planShellRules({
    denoPath: "/d",
    entryUrl: "file:///x.ts",
    moduleFlags: ["--no-prompt"],
    env: { HOME: "/h", SECRET: "s" },
  });
  assert.deepEqual(plan.args.filter((one) => one.startsWith("--allow") || one === "-A"), []);
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h", NO_COLOR: "1" });
  assert.match(plan.args.join(" "), /--max-old-space-size/);
  assert.match(plan.reach.join(" "), /no file/);
});

Deno.test("openShellRules() starts nothing where nothing is restricted, and else with the first command", async () => {
  const open = openShellRules(OPEN, fake("exit 1"));
  assert.deepEqual(await open.check("anything (", NEVER), { allowed: true });
  assert.deepEqual(open.pids, []);
  await open.close();
  const rules = openShellRules(STRICT, PLAN);
  try {
    assert.deepEqual(rules.pids, []);
    assert.deepEqual(await rules.check("ls -la", NEVER), { allowed: true });
    const [pid] = rules.pids;
    assert.match(reasonOf(await rules.check("ls; rm -rf x", NEVER)), /^rm is not in tools\.shell\.allow/);
    assert.match(reasonOf(await rules.check("ls | (", NEVER)), /could not be read as one: /);
    assert.deepEqual(rules.pids, [pid]);
  } finally {
    await rules.close();
  }
  assert.deepEqual(rules.pids, []);
  assert.match(reasonOf(await rules.check("ls", NEVER)), /the runner stops/);
});

Deno.test("check() answers many commands in their order, and refuses what would wait behind too many", async () => {
  const rules = openShellRules(STRICT, PLAN);
  try {
    const all = Array.from(
      { length: LIMITS.shellRulesWaitingMax + 2 },
      (_, at) => rules.check(at % 2 === 0 ? "ls" : `x${at}`, NEVER),
    );
    const reasons = (await Promise.all(all)).map(reasonOf);
    for (const [at, reason] of reasons.slice(0, -1).entries()) {
      assert.match(reason, at % 2 === 0 ? /^$/ : new RegExp(`^x${at} is not`));
    }
    assert.match(reasons.at(-1)!, /too many commands wait/);
  } finally {
    await rules.close();
  }
});

Deno.test("check() refuses when the parser is silent, dies, floods or says something else, and asks a new one next time", async () => {
  const cases: readonly (readonly [script: string, why: RegExp])[] = [
    ["exec sleep 600", /not parsed within 300 ms/],
    ["exit 0", /the parser failed/],
    ["printf '\\377\\377\\377\\377'; exec sleep 600", /the parser failed/],
    ["printf '\\0\\0\\0\\5{\"a\"}'; exec sleep 600", /the parser failed/],
    ["printf '\\0\\0\\0\\21{\"readable\":true}'; exec sleep 600", /the parser failed/],
    ["cat /dev/zero", /the parser failed/],
  ];
  for (const [script, why] of cases) {
    const rules = openShellRules(STRICT, fake(script), { answerMs: 300 });
    assert.match(reasonOf(await rules.check("ls", NEVER)), why, script);
    assert.deepEqual(rules.pids, [], script);
    assert.match(reasonOf(await rules.check("ls", NEVER)), why, script);
    await rules.close();
  }
  const rules = openShellRules(STRICT, { command: "/nowhere", args: [], env: {} });
  assert.match(reasonOf(await rules.check("ls", NEVER)), /could not be started/);
  await rules.close();
});

Deno.test("check() refuses a command that is too long, and takes one of the longest arguments", async () => {
  const rules = openShellRules(STRICT, PLAN);
  try {
    assert.deepEqual(await rules.check(`ls '${"a".repeat(LIMITS.argsBytesMax)}'`, NEVER), { allowed: true });
    assert.match(reasonOf(await rules.check("a".repeat(LIMITS.frameBytesMax), NEVER)), /too long/);
    assert.deepEqual(await rules.check("ls '\ud800'", NEVER), { allowed: true });
  } finally {
    await rules.close();
  }
});

Deno.test("check() ends with the call that it was made for", async () => {
  const rules = openShellRules(STRICT, fake("exec sleep 600"));
  const stop = new AbortController();
  const asked = rules.check("ls", stop.signal);
  const waiting = rules.check("ls", stop.signal);
  stop.abort();
  const ends = await Promise.allSettled([asked, waiting, rules.check("ls", stop.signal)]);
  for (const end of ends) {
    assert.ok(end.status === "rejected" && end.reason instanceof AppError && end.reason.code === "cancelled");
  }
  assert.deepEqual(rules.pids, []);
  await rules.close();
});

Deno.test("the parser's process has no permission, whatever it would try", async () => {
  const probe =
    "for (const name of ['read','write','net','env','run','ffi','sys']) console.log(Deno.permissions.querySync({ name }).state)";
  const args = PLAN.args.slice(0, -1);
  const entry = `data:text/javascript,${encodeURIComponent(probe)}`;
  const { stdout } = await new Deno.Command(PLAN.command, {
    args: [...args, entry],
    env: { ...PLAN.env },
    clearEnv: true,
  }).output();
  assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n"), Array.from({ length: 7 }, () => "prompt"));
});
