/**
 * A process that appends until it is killed: `append_child.ts <path> <events per batch> <characters per event> <normal|full>`.
 * Prints the last `seq` of a batch when the log said that it is recorded.
 */
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, sessionOf } from "../contract/event_samples.ts";

const [path = "", events = "1", chars = "10", durability = "full"] = Deno.args;
const log = await openEventLog({ path, now: Date.now });
await log.ensureSession(sessionOf("s"));
const batch = Array.from({ length: Number(events) }, (_, index) => messageOf(`${index}:`.padEnd(Number(chars), "x")));
while (true) {
  const stored = await log.append("s", "t", batch, { durability: durability === "full" ? "full" : "normal" });
  // Synchronous: a line that the parent saw was written after the append and before the next one.
  Deno.stdout.writeSync(new TextEncoder().encode(`${stored.at(-1)!.seq}\n`));
}
