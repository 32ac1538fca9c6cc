/** A process that was started with more than it should have: what it could do, it is not given work to do it with. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Outcome } from "#/core/capability.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { openTools, type ToolHost, type ToolHostInput } from "#/runner/tool_host.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram, TOOL_HOST_DEFAULTS } from "../fixture/workspace.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";

const never = new AbortController().signal;

interface House {
  readonly tools: ToolHost;
  readonly log: readonly string[];
  readonly auditText: () => string;
  call(tool: string, args: unknown): Promise<Outcome>;
}

async function withHouse(change: Partial<ToolHostInput>, check: (house: House) => Promise<void>): Promise<void> {
  const folders = makeFolders();
  await writeGuestLock(thisProgram(), join(folders.run, "guest.lock"));
  const program = thisProgram();
  const env = denoEnv();
  const log: string[] = [];
  const lockPath = join(folders.run, "guest.lock");
  const tools = await openTools({
    ...TOOL_HOST_DEFAULTS,
    program,
    env,
    folders,
    guestPlan: planGuest({ program, env, internalDir: folders.internal, lockPath, port: 0, hosts: [] }),
    onLog: (line) => log.push(line),
    ...change,
  });
  const principal = { user: "default", agent: ["default"], origin: "channel" } as const;
  try {
    await check({
      tools,
      log,
      auditText: () => Deno.readTextFileSync(join(folders.audit, "audit-000001.jsonl")),
      call: (tool, args) =>
        tools.broker.call({ principal, session: "s", turn: "t", callId: crypto.randomUUID(), tool, args }, never),
    });
  } finally {
    await tools.close();
  }
}

/** A Deno that opens more than it is told to, as a wrapper in its place would. */
function makeLooseDeno(flag: string, only: string): string {
  const path = join(Deno.makeTempDirSync({ prefix: "oxydra-loose-" }), "deno");
  const script =
    `#!/bin/sh\ncase "$*" in *"${only}"*) shift; exec "${Deno.execPath()}" run ${flag} "$@";; esac\nexec "${Deno.execPath()}" "$@"\n`;
  Deno.writeTextFileSync(path, script, { mode: 0o700 });
  return path;
}

Deno.test("with every wall in place the file tools run", async () => {
  await withHouse({}, async ({ tools, log, call }) => {
    tools.tryWalls();
    assert.equal((await call("file_write", { path: "/shared/a", content: "x" })).kind, "ok");
    assert.deepEqual(log, []);
  });
});

Deno.test("a tool child with one permission too many is given no call; the reason is said, logged and in the audit log", async () => {
  const program = { ...thisProgram(), denoPath: makeLooseDeno("--allow-env", "--max-old-space-size") };
  await withHouse({ program }, async ({ tools, log, auditText, call }) => {
    tools.tryWalls();
    for (let i = 0; i < 2; i++) {
      const outcome = await call("file_write", { path: "/shared/a", content: "x" });
      assert.deepEqual([outcome.kind, outcome.code], ["failed", "self_test_failed"], outcome.text);
      assert.match(outcome.text, /read the environment/);
    }
    assert.deepEqual(tools.childPids, []);
    assert.equal(log.filter((line) => line.startsWith("self check: ")).length, 1);
    assert.match(auditText(), /"code":"self_test_failed"/);
  });
});

Deno.test("a guest that could start programs is given no tool at all", async () => {
  const folders = makeFolders();
  const lockPath = join(folders.run, "guest.lock");
  await writeGuestLock(thisProgram(), lockPath);
  const plan = planGuest({
    program: thisProgram(),
    env: denoEnv(),
    internalDir: folders.internal,
    lockPath,
    port: 0,
    hosts: [],
  });
  const guestPlan = { ...plan, args: ["run", "--allow-run", ...plan.args.slice(1)] };
  await withHouse({ guestPlan }, async ({ auditText, call }) => {
    for (const [tool, args] of [["file_read", { path: "/shared/a" }], ["no_such_tool", {}]] as const) {
      const { kind, code, text } = await call(tool, args);
      assert.deepEqual([kind, code], ["failed", "self_test_failed"]);
      assert.match(text, /walls of the guest do not hold here.*start a program/);
    }
    assert.match(auditText(), /"source":"self_test_failed"/);
  });
});

Deno.test("a way out that could reach this machine is given no request, and files go on", async () => {
  const program = {
    ...thisProgram(),
    denoPath: makeLooseDeno("--allow-read", "--deny-net=0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127"),
  };
  await withHouse({ program }, async ({ log, call }) => {
    const page = await call("web_fetch", { url: "http://example.com/" });
    assert.deepEqual([page.kind, /walls of the egress do not hold/.test(page.text)], ["failed", true], page.text);
    assert.equal((await call("file_write", { path: "/shared/a", content: "x" })).kind, "ok");
    assert.match(log.join("\n"), /self check: The walls of the egress/);
  });
});
