import { join } from "node:path";
import { type Bed, fetchStreams, openBed, runTurn } from "./bed.ts";
import { type Bench, median, type Row } from "./row.ts";

const ROUNDS = 30;
/** V8 compiles the way of a delta in the first turns: a gateway is warm after some. */
const WARM_ROUNDS = 20;
const CASES = [
  { reads: 0, name: "turn without tools, 200 deltas, over plain fetch", target: 6 },
  { reads: 1, name: "the same with one file_read", target: 10 },
  { reads: 20, name: "the same with 20 file_reads in sequence", target: 100 },
] as const;

/** Whole turns over a warm gateway, against plain fetches of the same streams, one after the other in each round. */
export const turn: Bench = {
  name: "turn",
  async run() {
    const bed = await openBed();
    try {
      await Deno.writeTextFile(join(bed.shared, "four.txt"), `${"x".repeat(63)}\n`.repeat(64));
      return await measure(bed);
    } finally {
      await bed.close();
    }
  },
};

async function measure(bed: Bed): Promise<Row[]> {
  const extra = new Map<number, number[]>();
  const plain = new Map<number, number[]>();
  const whole = new Map<number, number[]>();
  const calls: number[] = [];
  let first = 0;
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const { reads } of CASES) {
      const prompt = `reads ${reads} /shared/four.txt`;
      const fetched = await fetchStreams(bed.vendorUrl, prompt, reads);
      const client = await bed.connect();
      const times = await runTurn(client, prompt);
      client.close();
      first ||= times.ms;
      if (round < 0) continue;
      push(plain, reads, fetched);
      push(whole, reads, times.ms);
      push(extra, reads, times.ms - fetched);
      calls.push(...times.results.map((at, index) => at - times.intents[index]!));
    }
  }
  const rows = CASES.map(({ reads, name, target }): Row => {
    const [fetched, ran] = [median(plain.get(reads)!), median(whole.get(reads)!)];
    const note = `${ran.toFixed(1)} ms against ${fetched.toFixed(1)} ms, median difference of ${ROUNDS} pairs${
      reads === 0 ? `; the very first turn ${first.toFixed(0)} ms` : ""
    }`;
    return { name, value: median(extra.get(reads)!), unit: "ms", target, note };
  });
  return [...rows, {
    name: "one of these file_reads, as a client sees it",
    value: median(calls),
    unit: "ms",
    note: `tool_intent → tool_result, three events in the log included; ${calls.length} calls`,
  }];
}

function push(lists: Map<number, number[]>, key: number, value: number): void {
  lists.set(key, [...lists.get(key) ?? [], value]);
}
