/** Processes that start together, are interrupted or are killed: one gateway, nothing left behind, nothing shown that is not recorded. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { reply, text, toolCall, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { Script } from "../fake/openai_server.ts";
import { isAlive, makeMachine, processTree, runOxydra, spawnOxydra, waitUntil } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

const WORKSPACE = ".oxydra/workspaces/default";
const ENDPOINT = `${WORKSPACE}/ipc/gateway-endpoint`;

/** A command whose output is collected while it runs. */
interface Running {
  readonly pid: number;
  readonly out: () => string;
  readonly err: () => string;
  readonly exited: Promise<number>;
  readonly input: WritableStreamDefaultWriter<Uint8Array> | null;
}

function start(
  args: readonly string[],
  options: { cwd: string; env: Record<string, string>; pipeStdin?: boolean },
): Running {
  const child = spawnOxydra(args, options);
  const text = { out: "", err: "" };
  const collect = async (stream: ReadableStream<Uint8Array>, key: "out" | "err") => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) text[key] += decoder.decode(chunk, { stream: true });
  };
  const drained = Promise.all([collect(child.stdout, "out"), collect(child.stderr, "err")]);
  return {
    pid: child.pid,
    out: () => text.out,
    err: () => text.err,
    exited: child.status.then(async ({ code }) => {
      await drained;
      return code;
    }),
    input: options.pipeStdin ? child.stdin.getWriter() : null,
  };
}

function pidOf(running: Running, entry: string): number {
  const found = processTree(running.pid).find((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(entry);
    } catch {
      return false;
    }
  });
  assert.ok(found, `no process of ${entry}: ${running.err()}`);
  return found;
}

async function assertGone(pids: readonly number[], timeoutMs: number): Promise<void> {
  await waitUntil(() => pids.every((pid) => !isAlive(pid)), `still alive: ${pids.filter(isAlive)}`, timeoutMs);
}

/** `[type, seq]` of every event in the log, read after everybody has let go of it. */
function recorded(cwd: string): { type: string; seq: number }[] {
  const db = new DatabaseSync(join(cwd, WORKSPACE, "internal/oxydra.db"));
  try {
    const rows = db.prepare("SELECT type, seq FROM events ORDER BY session, seq").all() as {
      type: string;
      seq: number;
    }[];
    return rows.map(({ type, seq }) => ({ type, seq }));
  } finally {
    db.close();
  }
}

/** Durable events that a `--json` client had printed; the last line may be cut by a kill. */
function shown(out: string): { type: string; seq: number }[] {
  const lines = out.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  return lines.filter((event) => event.seq !== undefined).map(({ type, seq }) => ({ type, seq }));
}

const never = new Promise<void>(() => {});
/** Says a word and then nothing. */
const stalls: Script = () => reply([text("Thinking. "), waitFor(never)]);

/** Reads one file after another for ever; each call differs from the last, so that no turn counts as stuck. */
const reads: Script = (body) => {
  const step = toolResults(body).length;
  return reply([toolCall("file_read", { path: "/shared/a.txt", line_count: step + 1 }, { id: `call_${step}` })]);
};

/** Asks for a search whose expression needs exponential time. */
const loops: Script = () => reply([toolCall("file_search", { path: "/shared", pattern: "^(a|a)*$", regex: true })]);

Deno.test("two chats started in the same millisecond share one gateway", async () => {
  const machine = await makeMachine();
  const chats = [start(["chat"], { ...machine, pipeStdin: true }), start(["chat"], { ...machine, pipeStdin: true })];
  for (const chat of chats) await waitUntil(() => chat.err().includes("demo/demo"), "no greeting");
  // Others, such as the probes of a start, may end while we look.
  const guests = chats.flatMap((chat) => processTree(chat.pid)).filter((pid) => isRunning(pid, "app/guest.ts"));
  assert.equal(guests.length, 1);
  for (const chat of chats) await chat.input!.write(new TextEncoder().encode("list /shared\n"));
  for (const chat of chats) await waitUntil(() => chat.out().includes("demo model"), "no answer");
  for (const chat of chats) await chat.input!.close();
  assert.deepEqual(
    await Promise.all(chats.map((chat) => chat.exited)),
    [0, 0],
    chats.map((chat) => chat.err()).join("\n"),
  );
  await assertGone(guests, 2_000);
  assert.ok(!await exists(join(machine.cwd, ENDPOINT)), "the endpoint is gone with its gateway");
});

Deno.test("Ctrl-C cancels the turn: exit 130, the cancel is recorded, no process is left", async () => {
  await withVendorMachine(stalls, async (machine) => {
    const run = start(["run", "--json", "think"], machine);
    await waitUntil(() => run.out().includes("text_delta"), "no delta");
    const pids = processTree(run.pid);
    // What a terminal does: SIGINT to each process of its foreground group. Guest and child have groups of their own.
    for (const pid of [run.pid, pidOf(run, "cli/client.ts")]) Deno.kill(pid, "SIGINT");
    assert.equal(await run.exited, 130, run.err());
    await assertGone(pids, 2_000);
    assert.equal(recorded(machine.cwd).at(-1)!.type, "turn_cancelled");
  });
});

Deno.test("Ctrl-C while a tool loops ends the turn and the tool", async () => {
  await withVendorMachine(loops, async (machine) => {
    await prepareLoop(machine.cwd);
    const run = start(["run", "--json", "search"], machine);
    await waitUntil(() => run.out().includes("tool_intent"), `no intent: ${run.err()}`);
    await waitUntil(() => processTree(run.pid).some((pid) => isRunning(pid, "sandbox/child.ts")), "no child");
    const pids = processTree(run.pid);
    for (const pid of [run.pid, pidOf(run, "cli/client.ts")]) Deno.kill(pid, "SIGINT");
    assert.equal(await run.exited, 130, run.err());
    await assertGone(pids, 2_000);
    const types = recorded(machine.cwd).map((event) => event.type);
    assert.deepEqual(types.slice(-2), ["tool_result", "turn_cancelled"]);
  });
});

Deno.test("SIGKILL of the runner while a tool loops leaves no process", async () => {
  await withVendorMachine(loops, async (machine) => {
    await prepareLoop(machine.cwd);
    const run = start(["run", "--json", "search"], machine);
    await waitUntil(() => run.out().includes("tool_intent"), `no intent: ${run.err()}`);
    await waitUntil(() => processTree(run.pid).some((pid) => isRunning(pid, "sandbox/child.ts")), "no child");
    const pids = processTree(run.pid);
    Deno.kill(run.pid, "SIGKILL");
    await run.exited;
    await assertGone(pids, 2_000);
    await assertUsable(machine, run);
  });
});

for (const victim of ["app/guest.ts", "mod.ts"]) {
  Deno.test(`SIGKILL of ${victim} in mid-turn: what was shown is recorded, and the next start goes on`, async () => {
    await withVendorMachine(reads, async (machine) => {
      await Deno.mkdir(join(machine.cwd, WORKSPACE, "shared"), { recursive: true });
      await Deno.writeTextFile(join(machine.cwd, WORKSPACE, "shared/a.txt"), "alpha");
      const run = start(["run", "--json", "read it often"], machine);
      await waitUntil(
        () => shown(run.out()).filter((event) => event.type === "tool_result").length >= 3,
        `too few results: ${run.err()}`,
      );
      const pids = processTree(run.pid);
      Deno.kill(pidOf(run, victim), "SIGKILL");
      const code = await run.exited;
      await assertGone(pids, 2_000);
      if (victim === "mod.ts") return await assertUsable(machine, run);
      // Its runner has another guest go on at once, and this script ends at the bound of steps alone.
      assert.equal(code, 4, run.err());
      await assertUsable(machine, run, "turn_failed");
    });
  });
}

Deno.test("a gateway whose address is left behind by a kill is not taken for a live one", async () => {
  const machine = await makeMachine();
  await Deno.mkdir(join(machine.cwd, WORKSPACE, "ipc"), { recursive: true });
  await Deno.writeTextFile(join(machine.cwd, ENDPOINT), `ws://127.0.0.1:9/ws?token=${"x".repeat(43)}\n`);
  const { code, err } = await runOxydra(["run", "list /shared"], machine);
  assert.equal(code, 0, err);
});

Deno.test("SIGTERM of the runner ends everything and gives the workspace back", async () => {
  const machine = await makeMachine();
  const chat = start(["chat"], { ...machine, pipeStdin: true });
  await waitUntil(() => chat.err().includes("demo/demo"), "no greeting");
  const pids = processTree(chat.pid);
  Deno.kill(chat.pid, "SIGTERM");
  await chat.exited;
  await assertGone(pids, 5_000);
  assert.equal((await runOxydra(["run", "list /shared"], machine)).code, 0);
});

/** Every durable event that the client had shown is in the log, the killed turn goes on to its end, and then the same session answers again. */
async function assertUsable(
  machine: { cwd: string; env: Record<string, string> },
  run: Running,
  endOfKilled: "turn_done" | "turn_failed" = "turn_done",
): Promise<void> {
  const before = shown(run.out());
  const { code, err } = await runOxydra(["run", "--model", "demo", "list /shared"], machine);
  assert.equal(code, 0, err);
  const log = recorded(machine.cwd);
  assert.deepEqual(log.slice(0, before.length), before);
  assert.deepEqual(log.map((event) => event.seq), log.map((_, index) => index + 1));
  const ends = log.filter((event) => ["turn_done", "turn_failed", "turn_cancelled"].includes(event.type));
  assert.deepEqual(ends.map((event) => event.type), [endOfKilled, "turn_done"]);
  assert.equal(log.filter((event) => event.type === "resumed").length, 1);
}

async function prepareLoop(cwd: string): Promise<void> {
  await Deno.mkdir(join(cwd, WORKSPACE, "shared"), { recursive: true });
  await Deno.writeTextFile(join(cwd, WORKSPACE, "shared/a.txt"), "a".repeat(40) + "!");
}

function isRunning(pid: number, entry: string): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(entry);
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
