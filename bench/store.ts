import { cpus } from "node:os";
import type { Durability, EventLog } from "#/core/store.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, SAMPLES, sessionOf } from "../tests/contract/event_samples.ts";
import { type Bench, median, percentile, type Row } from "./row.ts";

const SESSIONS = 100;
const APPENDS = 300;
const ROUNDS = 3;
const LONE = 1_000;
/** What a step of a turn records: a request, its result, an intent, an outcome. Each is an append of its own. */
const STEP = [messageOf("x".repeat(400)), SAMPLES.model_request, SAMPLES.tool_intent, SAMPLES.tool_result];

/** How many events one process records in a second, and how long each of them is waited for. */
export const store: Bench = {
  name: "store",
  async run() {
    const folder = await Deno.makeTempDir();
    const log = await openEventLog({ path: `${folder}/bench.db`, now: Date.now });
    try {
      for (let at = 0; at < SESSIONS; at++) await log.ensureSession(sessionOf(`s${at}`));
      await record(log, "normal", "warm", false);
      const rows: Row[] = [];
      for (const [durability, floor] of [["normal", 10_000], ["full", 1_500]] as const) {
        rows.push(...await measure(log, durability, floor, false));
        rows.push(...await measure(log, durability, floor, true));
        rows.push(await measureLone(log, durability));
      }
      return rows;
    } finally {
      await log.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
};

async function measure(log: EventLog, durability: Durability, floor: number, isSpread: boolean): Promise<Row[]> {
  const rates: number[] = [];
  const waits: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const one = await record(log, durability, `${durability}${isSpread}${round}`, isSpread);
    rates.push(one.rate);
    waits.push(...one.waits);
  }
  const how = isSpread ? ", each in its own turn of the event loop" : "";
  const name = `${SESSIONS} sessions at once, synchronous=${durability.toUpperCase()}${how}`;
  return [
    { name: `events recorded: ${name}`, value: median(rates), unit: "/s", floor, note: toNote() },
    {
      name: "… an append waits (p95)",
      value: percentile(waits, 0.95),
      unit: "ms",
      target: 50,
      note: `p50 ${median(waits).toFixed(2)} ms`,
    },
  ];
}

/** Every session appends one event after the other; `isSpread` lets each wait for the network in between, as a turn does. */
async function record(log: EventLog, durability: Durability, turn: string, isSpread: boolean) {
  const waits: number[] = [];
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: SESSIONS }, async (_, session) => {
    for (let at = 0; at < APPENDS; at++) {
      if (isSpread) await new Promise((resolve) => setImmediate(resolve));
      const askedAt = performance.now();
      await log.append(`s${session}`, turn, [STEP[at % STEP.length]!], { durability });
      waits.push(performance.now() - askedAt);
    }
  }));
  return { rate: waits.length / (performance.now() - startedAt) * 1_000, waits };
}

async function measureLone(log: EventLog, durability: Durability): Promise<Row> {
  const waits: number[] = [];
  for (let at = 0; at < LONE; at++) {
    await new Promise((resolve) => setImmediate(resolve));
    const askedAt = performance.now();
    await log.append("s0", "lone", [STEP[at % STEP.length]!], { durability });
    waits.push(performance.now() - askedAt);
  }
  const note = `p95 ${percentile(waits, 0.95).toFixed(2)} ms; nobody else writes`;
  return { name: `a lone append, ${durability.toUpperCase()} (p50)`, value: median(waits), unit: "ms", note };
}

function toNote(): string {
  return `one process, WAL, ${SESSIONS * APPENDS} appends of one event, median of ${ROUNDS}; ${cpus().length} cores`;
}
