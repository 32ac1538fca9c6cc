import type { Bench, Row } from "./row.ts";

const TURNS = 10_000;
const SESSIONS = 50;
const PLATEAU_TURNS = 1_000;

interface Sample {
  readonly turns: number;
  readonly rss: number;
  readonly heap: number;
}

/**
 * What a guest keeps of turns that are over, in a process with its client and its vendor, after collections that give back V8's free pages. A
 * window of 16,000 tokens: all 50 sessions have filled and summarised it by 1,000 turns, so that what grows after that is kept by mistake.
 */
export const resident: Bench = {
  name: "resident",
  async run({ quick }) {
    const samples = await measure(quick ? 2_000 : TURNS, 16_000);
    return toRows(samples, "16,000");
  },
};

function toRows(samples: readonly Sample[], window: string): Row[] {
  const plateau = samples.find(({ turns }) => turns === PLATEAU_TURNS)!;
  const last = samples.at(-1)!;
  const later = samples.filter(({ turns }) => turns > PLATEAU_TURNS).map(({ rss }) => rss);
  const note = `RSS ${plateau.rss.toFixed(1)} → ${last.rss.toFixed(1)} MB, at most ${Math.max(...later).toFixed(1)}; ` +
    `heap ${plateau.heap.toFixed(1)} → ${last.heap.toFixed(1)} MB; window of ${window} tokens`;
  const name = `resident memory, ${last.turns.toLocaleString("en")} turns in ${SESSIONS} sessions: growth since ${
    PLATEAU_TURNS.toLocaleString("en")
  }`;
  return [{ name, value: last.rss - plateau.rss, unit: "MB", target: 10, note }];
}

async function measure(turns: number, context: number): Promise<readonly Sample[]> {
  const folder = await Deno.makeTempDir();
  try {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "-q", "--v8-flags=--expose-gc", new URL("resident_child.ts", import.meta.url).href],
        ...[folder, `${turns}`, `${SESSIONS}`, `${context}`],
      ],
      stderr: "inherit",
    }).output();
    if (!success) throw new Error("the guest of the bench failed");
    return new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
