import assert from "node:assert/strict";
import { join } from "node:path";
import { Config } from "#/config/schema.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { planShell, type ShellPlan } from "#/runner/plan_shell.ts";
import { findShell, openShellHost } from "#/runner/shell_host.ts";
import { planEgressOf } from "#/runner/tool_host.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

const never = new AbortController().signal;

function toPlan(shell: object): ShellPlan {
  const plan = planShell(Config.parse({ tools: { shell } }), {}, {});
  assert.ok(!("off" in plan));
  return plan;
}

async function open(shell: object = {}) {
  const folders = makeFolders();
  const env = denoEnv();
  const program = thisProgram();
  await writeGuestLock(program, join(folders.run, "guest.lock"));
  const egress = { plan: planEgressOf({ program, env, folders }), allowlist: [], mode: "default" as const };
  const host = openShellHost({ user: "default", folders, program, env, plan: toPlan(shell), egress, onLog: () => {} });
  return { host, folders };
}

Deno.test("openShellHost() opens shells behind walls with the first command, and writes down what became of them", async () => {
  const { host, folders } = await open();
  const call = { session: "s", timeoutMs: 10_000, connect: [] };
  try {
    assert.ok(!await Deno.stat(join(folders.logs, "sidecar.log")).then(() => true, () => false));
    const shells = await host.shells();
    assert.equal(await host.shells(), shells);
    const { text, cwd } = await shells.exec({ ...call, command: "echo hi > a; id -u; ls /work 2>&1" }, never);
    assert.match(text, /^1000\nls: cannot access/);
    assert.equal(cwd, "/shared");
    assert.equal(await Deno.readTextFile(join(folders.shared, "a")), "hi\n");
  } finally {
    await host.close();
  }
  assert.match(await Deno.readTextFile(join(folders.logs, "sidecar.log")), /command 1: exit 2, \d+ ms/);
});

Deno.test("openShellHost().kill() ends a session's shell, and opens nothing for one that never had any", async () => {
  const { host, folders } = await open();
  const call = { session: "s", timeoutMs: 10_000, connect: [] };
  try {
    await host.kill("s");
    assert.ok(!await Deno.stat(join(folders.logs, "sidecar.log")).then(() => true, () => false));
    const shells = await host.shells();
    await shells.exec({ ...call, command: "x=1; sleep 1000 &" }, never);
    await host.kill("other");
    assert.equal((await shells.exec({ ...call, command: "echo [$x]" }, never)).text, "[1]\n");
    await host.kill("s");
    assert.equal((await shells.exec({ ...call, command: "echo [$x]" }, never)).text, "[]\n");
  } finally {
    await host.close();
  }
});

Deno.test("openShellHost() refuses what the person's rules forbid, of shell_exec alone", async () => {
  const { host } = await open({ deny: ["rm"] });
  try {
    assert.match(await host.rules("shell_exec", { command: "ls; rm -rf x" }, never) ?? "", /rm is denied/);
    assert.equal(await host.rules("shell_exec", { command: "ls" }, never), undefined);
    assert.equal(await host.rules("file_read", { command: "rm" }, never), undefined);
    assert.equal(await host.rules("shell_exec", { command: 1 }, never), undefined);
  } finally {
    await host.close();
  }
});

Deno.test("findShell() tells what holds a shell, and why there is none", async () => {
  const folders = makeFolders();
  const place = { user: "default", program: thisProgram(), env: denoEnv(), folders };
  const found = await findShell(toPlan({}), place);
  assert.deepEqual([found.available, found.by], [true, "bubblewrap"]);
  assert.deepEqual(await findShell(toPlan({}), place), found, "kept, and not tried again");
  assert.ok(await Deno.stat(join(folders.run, "shell-tier.json")));
  const off = await findShell({ off: "tools.shell.enabled is false" }, place);
  assert.deepEqual([off.available, off.reason], [false, "tools.shell.enabled is false"]);
});
