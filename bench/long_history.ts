import { openSessionBed } from "./long_history_bed.ts";
import { type Bench, median, percentile, type Row } from "./row.ts";

const EVENTS = 20_000;
const ROUNDS = 12;

/** What the next turn of a session of 20,000 events waits for before its model is asked: in a process that has just started, and in one that knows the session. */
export const longHistory: Bench = {
  name: "long_history",
  async run() {
    return [...await measure(true), ...await measure(false)];
  },
};

async function measure(summarised: boolean): Promise<Row[]> {
  const folder = await Deno.makeTempDir();
  try {
    const { turns, summaries } = await fill(folder, summarised);
    const [cold, warm]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const { first, second } = await runChild(folder, summarised, turns + 2 * round);
      cold.push(first);
      warm.push(second);
    }
    const what = summarised
      ? `${summaries} summaries`
      : "without summaries: the window is full and the tokenizer is needed";
    const note = `${ROUNDS} processes, worst ${percentile(cold, 1).toFixed(1)} ms; ${what}`;
    const name = `history of ${EVENTS.toLocaleString("en")} events${
      summarised ? "" : ", none summarised"
    }: message to model call`;
    return [
      {
        name: `${name}, first turn of a process`,
        value: median(cold),
        unit: "ms",
        ...(summarised ? { target: 60 } : {}),
        note,
      },
      {
        name: `${name}, second turn`,
        value: median(warm),
        unit: "ms",
        note: `worst ${percentile(warm, 1).toFixed(1)} ms`,
      },
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs turns until the session has its events. */
async function fill(folder: string, summarised: boolean): Promise<{ turns: number; summaries: number }> {
  const bed = await openSessionBed(folder, { summarised });
  try {
    for (let turns = 0;; turns++) {
      await bed.turn("s", turns);
      const [last] = await bed.log.readBack("s", { beforeSeq: Number.MAX_SAFE_INTEGER, limit: 1 });
      if (last!.seq < EVENTS) continue;
      return { turns: turns + 1, summaries: (await bed.log.lastSummary("s"))?.payload.epoch ?? 0 };
    }
  } finally {
    await bed.close();
  }
}

async function runChild(folder: string, summarised: boolean, turn: number): Promise<{ first: number; second: number }> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "-q",
      new URL("long_history_child.ts", import.meta.url).href,
      folder,
      `${summarised}`,
      `${turn}`,
    ],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}
