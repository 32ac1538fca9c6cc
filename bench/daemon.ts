import { makeMachine, processTree, runOxydra } from "../tests/fixture/system.ts";
import { type Bench, median, type Row, timed } from "./row.ts";

const ROUNDS = 15;
const SETTLE_MS = 5_000;
const IDLE_MS = 20_000;

/** What a daemon costs that nobody talks to, all its processes together, and how soon it says how it is. */
export const daemon: Bench = {
  name: "daemon",
  async run({ quick }) {
    const machine = await makeMachine();
    const started = await runOxydra(["start", "--detach"], machine);
    if (started.code !== 0) throw new Error(started.err);
    const pid = Number(/\(process (\d+)\)/.exec(started.out)![1]);
    try {
      const ask = async () => {
        const { code, err } = await runOxydra(["status"], machine);
        if (code !== 0) throw new Error(err);
      };
      const times: number[] = [];
      // The first round fills caches.
      for (let round = -1; round < ROUNDS; round++) {
        const ms = await timed(ask);
        if (round >= 0) times.push(ms);
      }
      const [least, most] = [Math.min(...times), Math.max(...times)];
      const note = `median of ${ROUNDS} against a daemon, ${least.toFixed(0)} to ${most.toFixed(0)} ms`;
      return [
        { name: "oxydra status", value: median(times), unit: "ms", target: 80, note },
        ...await measureIdle(pid, quick ? IDLE_MS / 4 : IDLE_MS),
      ];
    } finally {
      await runOxydra(["stop"], machine);
      await Deno.remove(machine.cwd, { recursive: true });
    }
  },
};

async function measureIdle(pid: number, idleMs: number): Promise<Row[]> {
  await wait(SETTLE_MS);
  const before = ticksOf(processTree(pid));
  const startedAt = performance.now();
  await wait(idleMs);
  const pids = processTree(pid);
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = (ticksOf(pids) - before) / ticksPerSecond() / seconds * 100;
  const each = pids.map((one) => `${nameOf(one)} ${pssOf(one).toFixed(0)}`).join(", ");
  return [
    {
      name: "idle daemon: memory, all processes",
      value: pids.reduce((sum, one) => sum + pssOf(one), 0),
      unit: "MB",
      target: 130,
      note: `PSS: ${each} MB`,
    },
    {
      name: "idle daemon: processor",
      value: cpu,
      unit: "%",
      target: 0.5,
      note: `of one core over ${seconds.toFixed(0)} s`,
    },
  ];
}

/** Clock ticks that these processes have used, in user and kernel mode (proc(5)). */
function ticksOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

function ticksPerSecond(): number {
  const { stdout } = new Deno.Command("getconf", { args: ["CLK_TCK"] }).outputSync();
  return Number(new TextDecoder().decode(stdout));
}

/** In MB; pages that other processes have as well (other Denos on this machine) count in part. */
function pssOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)![1]) * 1_024 / 1e6;
}

function nameOf(pid: number): string {
  const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").join(" ");
  return /(mod|app\/guest|sandbox\/\w+)\.ts/.exec(line)?.[1]?.replace("mod", "runner") ?? line.slice(0, 20);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
