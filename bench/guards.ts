/** What the walls cost: the web through the egress process, a runaway that is killed, a pool under load, one line of the audit log. */
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { openAudit } from "#/sandbox/audit.ts";
import { NO_TOOLS_PLAN } from "../tests/fixture/no_tools.ts";
import { ENDLESS_PAGE, endlessCall, never, openRealChildren } from "../tests/sandbox/child_kit.ts";
import { readLine } from "./bed.ts";
import { type Bench, percentile, type Row, timed } from "./row.ts";
import { makeBenchFolders, runLanes } from "./tool_bed.ts";

const FETCHES = 120;
const WARM = 20;
const SLOW_CALLS = 50;
const SLOW_MS = 200;
const READ_GAP_MS = 100;
const RUNAWAYS = 5;
const DEADLINE_MS = 500;
const ENTRIES = 5_000;

/** Rows of issue 3's bounds that no other group has. */
export const guards: Bench = {
  name: "guards",
  async run() {
    return [...await web(), await runaway(), audit()];
  },
};

async function web(): Promise<Row[]> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", new URL("web_server.ts", import.meta.url).href],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const folders = makeBenchFolders();
  try {
    const port = Number(await readLine(server.stdout));
    return [
      await fetched(folders, port, 2_048, 6),
      await fetched(folders, port, 102_400),
      await loaded(folders, port),
    ];
  } finally {
    await server.stdin.close();
    await server.status;
    await Deno.remove(folders.root, { recursive: true });
  }
}

type Folders = ReturnType<typeof makeBenchFolders>;

/** This machine is a private address, so the page is an exception of the person; everything else is as it ships. */
function planFor(port: number): ToolsPlan {
  const rule = {
    id: "bench",
    kinds: ["http" as const],
    hosts: ["127.0.0.1"],
    ports: [`${port}`],
    effect: "allow" as const,
  };
  const egress = { ...NO_TOOLS_PLAN.egress, allowlist: [`127.0.0.1:${port}`] };
  return { ...NO_TOOLS_PLAN, rules: [[rule]], egress };
}

async function fetched(folders: Folders, port: number, bytes: number, target?: number): Promise<Row> {
  const url = `http://127.0.0.1:${port}/page/${bytes}`;
  const [calls] = await runLanes(
    folders,
    [{ tool: "web_fetch", args: { url }, count: FETCHES, gapMs: 0 }],
    planFor(port),
  );
  const plain: number[] = [];
  for (let at = 0; at < FETCHES; at++) plain.push(await timed(async () => await (await fetch(url)).text()));
  const [call, alone] = [percentile(calls!.slice(WARM), 0.5), percentile(plain.slice(WARM), 0.5)];
  return {
    name: `web_fetch of ${bytes / 1_024} KiB of HTML over the plain request, p50`,
    value: call - alone,
    unit: "ms",
    ...(target === undefined ? {} : { target }),
    note: `${call.toFixed(2)} ms against ${alone.toFixed(2)} ms; ${FETCHES - WARM} calls one after another, p95 ${
      percentile(calls!.slice(WARM), 0.95).toFixed(2)
    } ms`,
  };
}

async function loaded(folders: Folders, port: number): Promise<Row> {
  const url = `http://127.0.0.1:${port}/slow/${SLOW_MS}`;
  // As long as the slow ones take, four at a time.
  const reads = Math.floor(SLOW_CALLS / 4 * SLOW_MS / READ_GAP_MS);
  const [slow, read] = await runLanes(folders, [
    { tool: "web_fetch", args: { url }, count: SLOW_CALLS, gapMs: 0, atOnce: true },
    { tool: "file_read", args: { path: "/shared/four.txt" }, count: reads, gapMs: READ_GAP_MS },
  ], planFor(port));
  return {
    name: `file_read beside ${SLOW_CALLS} calls that wait ${SLOW_MS} ms each, p95`,
    value: percentile(read!.slice(1), 0.95),
    unit: "ms",
    target: 15,
    note: `one every ${READ_GAP_MS} ms, ${reads - 1} of them, p50 ${
      percentile(read!.slice(1), 0.5).toFixed(2)
    } ms; the first, with the start of its child, ${read![0]!.toFixed(0)} ms; the slow ones took ${
      (Math.max(...slow!) / 1_000).toFixed(2)
    } s`,
  };
}

/** From the deadline of a call that computes for ever until its process uses no CPU any more. Linux. */
async function runaway(): Promise<Row> {
  await using pool = await openRealChildren();
  const late: number[] = [];
  for (let round = 0; round < RUNAWAYS; round++) {
    await pool.warm();
    const [pid] = pool.pids;
    let [busyAt, ticks] = [performance.now(), cpuTicks(pid!)];
    const startedAt = performance.now();
    const call = pool.run(endlessCall(DEADLINE_MS), ENDLESS_PAGE, never());
    while (performance.now() < startedAt + DEADLINE_MS * 2) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const now = cpuTicks(pid!);
      if (now !== ticks) [busyAt, ticks] = [performance.now(), now];
    }
    const { code } = await call;
    if (code !== "tool_timeout") throw new Error(`the runaway ended with ${code}`);
    late.push(busyAt - startedAt - DEADLINE_MS);
  }
  return {
    name: "killed runaway: its deadline → no CPU used",
    value: Math.max(...late),
    unit: "ms",
    target: 300,
    note: `the worst of ${RUNAWAYS}; the kernel counts CPU time in ticks of 10 ms`,
  };
}

/** CPU time of a process so far, 0 when it is gone. */
function cpuTicks(pid: number): number {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

function audit(): Row {
  const dir = Deno.makeTempDirSync({ prefix: "oxydra-bench-" });
  const log = openAudit({
    dir: `${dir}/audit`,
    now: Date.now,
    opened: { version: "0.0.0", policyDigest: "0".repeat(64) },
  });
  const entry = {
    user: "default",
    agent: ["default"],
    origin: "channel" as const,
    session: "0198f1a2-0000-7000-8000-000000000000",
    turn: "0198f1a2-0000-7000-8000-000000000001",
    callId: "call_0123456789abcdef01234567",
    tool: { name: "file_read", package: "files", version: "0.1.0", sha256: "0".repeat(64) },
    code: "ok" as const,
    outputBytes: 4_096,
    readBytes: 4_096,
    elapsedMs: 2,
    grant: "0198f1a2-0000-7000-8000-000000000002",
  };
  const startedAt = performance.now();
  for (let at = 0; at < ENTRIES; at++) log.append("outcome", entry);
  const ms = (performance.now() - startedAt) / ENTRIES;
  log.close();
  Deno.removeSync(dir, { recursive: true });
  return {
    name: "one entry of the audit log",
    value: ms,
    unit: "ms",
    target: 0.1,
    note: `mean of ${ENTRIES}, hashed, chained and written, without fsync`,
  };
}
