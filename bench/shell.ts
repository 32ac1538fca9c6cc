import type { ShellResult, Shells } from "#/sandbox/shell.ts";
import { openShells } from "#/sandbox/shells.ts";
import { processTree } from "../tests/fixture/system.ts";
import { LIMITS_OF_TESTS, WallHouse } from "../tests/sandbox/wall_kit.ts";
import { type Bench, median, percentile, timed } from "./row.ts";

const ROUNDS = 200;
const FIRSTS = 20;
const TOGETHER = 20;

/** What a command costs in the shell of its session: the first one, each later one, and twenty sessions at once. */
export const shell: Bench = {
  name: "shell",
  async run({ quick }) {
    await using house = await WallHouse.open();
    const { driver, user, shared, tmp } = house;
    const mounts = { shared, tmp };
    const shells = openShells({ driver, user, mounts, env: {}, limits: LIMITS_OF_TESTS, onLog: () => {} });
    try {
      const firsts = await measure(
        quick ? 5 : FIRSTS,
        (round) => runIn(shells, `first ${round}`),
        (round) => shells.kill(`first ${round}`),
      );
      const rounds = quick ? 50 : ROUNDS;
      const inside = await measure(rounds, () => runIn(shells, "warm"));
      const outside = await measure(rounds, () => runIn(shells, "warm", "/bin/true"));
      await shells.kill("warm");
      const sessions = Array.from({ length: TOGETHER }, (_, at) => `s${at}`);
      const all = (command: string) => Promise.all(sessions.map((session) => runIn(shells, session, command)));
      const opening = await timed(() => all("true"));
      const again = await timed(() => all("/bin/true"));
      const pss = readPssBelow(Deno.pid);
      const note = (values: readonly number[]) =>
        `median of ${values.length}; p95 ${percentile(values, 0.95).toFixed(1)} ms`;
      return [
        {
          name: "a session's first command, with its shell and walls",
          value: median(firsts),
          unit: "ms",
          target: 150,
          note: note(firsts),
        },
        {
          name: "a command in a warm shell, there and back",
          value: median(inside),
          unit: "ms",
          target: 5,
          note: `true; ${note(inside)}`,
        },
        {
          name: "a program in a warm shell, there and back",
          value: median(outside),
          unit: "ms",
          target: 5,
          note: `/bin/true; ${note(outside)}`,
        },
        {
          name: `the first commands of ${TOGETHER} sessions at once`,
          value: opening,
          unit: "ms",
          note: `${(opening / TOGETHER).toFixed(1)} ms each; one more of each takes ${again.toFixed(1)} ms in all`,
        },
        {
          name: `PSS of the ${TOGETHER} shells`,
          value: pss.total,
          unit: "MB",
          note: `${pss.count} processes, ${(pss.total / TOGETHER).toFixed(2)} MB a shell`,
        },
      ];
    } finally {
      await shells.close();
    }
  },
};

/** Milliseconds of each round, without two before them. */
async function measure(
  rounds: number,
  work: (round: number) => Promise<unknown>,
  clean: (round: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<number[]> {
  const values: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const ms = await timed(() => work(round));
    await clean(round);
    if (round >= 0) values.push(ms);
  }
  return values;
}

async function runIn(shells: Shells, session: string, command = "true"): Promise<ShellResult> {
  const call = { session, command, timeoutMs: 20_000, connect: [] };
  const result = await shells.exec(call, new AbortController().signal);
  if (result.exitCode !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
  return result;
}

/** Megabytes of all processes below one. */
function readPssBelow(root: number): { readonly total: number; readonly count: number } {
  const pids = processTree(root).filter((pid) => pid !== root);
  const kib = pids.map((pid) =>
    Number(/^Pss:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0)
  );
  return { total: kib.reduce((sum, one) => sum + one, 0) * 1_024 / 1e6, count: pids.length };
}
