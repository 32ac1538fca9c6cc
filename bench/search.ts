import { join } from "node:path";
import { type Bed, openBed, runTurn } from "./bed.ts";
import { type Bench, median } from "./row.ts";

const FILES = 10_000;
const FILE_BYTES = 5_000;
const ROUNDS = 3;
/** In every hundredth file: a hundred lines match. The second group keeps the engine from a plain text search. */
const PATTERN = "needle-[0-9]+-(alpha|omega)$";
/** After this much of a search it is cancelled; the first pages are on their way then. */
const CANCEL_AFTER_MS = 150;

/** One regular expression over many files, and how long a cancelled search goes on. */
export const search: Bench = {
  name: "search",
  async run() {
    const bed = await openBed();
    try {
      const bytes = await fill(bed.shared);
      const times: number[] = [];
      const cancels: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const client = await bed.connect();
        const { intents, results } = await runTurn(client, `search 0 /shared ${PATTERN}`);
        client.close();
        times.push(results[0]! - intents[0]!);
        cancels.push(await cancelOnce(bed));
      }
      const size = `${FILES} files, ${(bytes / 1e6).toFixed(0)} MB`;
      return [
        {
          name: "file_search by one regex",
          value: median(times) / 1_000,
          unit: "s",
          target: 5,
          note: `${size}, tool_intent → tool_result at a client, ${ROUNDS} rounds`,
        },
        {
          name: "… cancelled",
          value: median(cancels),
          unit: "ms",
          target: 100,
          note: `cancel_active_turn → turn_cancelled at a client, ${CANCEL_AFTER_MS} ms into the search`,
        },
      ];
    } finally {
      await bed.close();
    }
  },
};

async function cancelOnce(bed: Bed): Promise<number> {
  const client = await bed.connect();
  const target = { request_id: "r", session_id: client.session, turn_id: crypto.randomUUID() };
  client.send("send_turn", { ...target, prompt: `search 0 /shared ${PATTERN}` });
  await client.next((frame) => frame.type === "turn_event" && frame.payload.event.type === "tool_intent");
  await new Promise((resolve) => setTimeout(resolve, CANCEL_AFTER_MS));
  const startedAt = performance.now();
  client.send("cancel_active_turn", target);
  await client.next((frame) => frame.type === "turn_cancelled");
  client.close();
  return performance.now() - startedAt;
}

async function fill(shared: string): Promise<number> {
  const line = "some words that look like a line of a source file, with (brackets) and numbers 12345\n";
  let bytes = 0;
  for (let at = 0; at < FILES; at++) {
    const folder = join(shared, `dir${at % 100}`);
    if (at < 100) await Deno.mkdir(folder);
    const needle = at % 100 === 0 ? `needle-${at}-omega\n` : "needle-none\n";
    const content = line.repeat(Math.floor(FILE_BYTES / line.length)) + needle;
    bytes += content.length;
    await Deno.writeTextFile(join(folder, `file${at}.txt`), content);
  }
  return bytes;
}
