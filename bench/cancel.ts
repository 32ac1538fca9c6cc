import { type Bed, openBed } from "./bed.ts";
import { type Bench, percentile, type Row } from "./row.ts";

const ROUNDS = 30;
/** After this much of a turn it is cancelled. */
const CANCEL_AFTER_MS = 30;
const CASES = [
  { prompt: "silent", name: "cancel while the vendor has not answered" },
  { prompt: "stall", name: "cancel in the middle of a reply" },
  { prompt: "busy", name: "cancel in the wait before the next attempt" },
] as const;

/** How long a turn goes on after somebody cancelled it, wherever its model call is. */
export const cancel: Bench = {
  name: "cancel",
  async run() {
    const bed = await openBed();
    try {
      const rows: Row[] = [];
      for (const { prompt, name } of CASES) {
        const times: number[] = [];
        for (let round = 0; round < ROUNDS; round++) times.push(await cancelOnce(bed, prompt));
        const note = `cancel_active_turn → turn_cancelled at a client, recorded; the slowest of ${ROUNDS}`;
        rows.push({ name, value: percentile(times, 1), unit: "ms", target: 50, note });
      }
      return rows;
    } finally {
      await bed.close();
    }
  },
};

async function cancelOnce(bed: Bed, prompt: string): Promise<number> {
  const client = await bed.connect();
  const target = { request_id: "r", session_id: client.session, turn_id: crypto.randomUUID() };
  client.send("send_turn", { ...target, prompt });
  await client.next(({ type }) => type === "turn_started");
  await new Promise((resolve) => setTimeout(resolve, CANCEL_AFTER_MS));
  const startedAt = performance.now();
  client.send("cancel_active_turn", target);
  await client.next(({ type }) => type === "turn_cancelled");
  const ms = performance.now() - startedAt;
  client.close();
  return ms;
}
