/**
 * A process whose files may not grow beyond what its parent set: appends until the log says no, then shows what still works.
 * `fill_child.ts <path> <characters per event>` prints one JSON line.
 */
import { AppError } from "#/core/error.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, sessionOf } from "../contract/event_samples.ts";

const [path = "", chars = "1000"] = Deno.args;
const log = await openEventLog({ path, now: Date.now });
await log.ensureSession(sessionOf("s"));
const batch = [messageOf("small"), messageOf("x".repeat(Number(chars)))];
let recorded = 0;
let refusal: unknown;
while (refusal === undefined) {
  try {
    recorded += (await log.append("s", "t", batch, { durability: "full" })).length;
  } catch (error) {
    refusal = error instanceof AppError ? { code: error.code, reason: error.params["reason"] } : String(error);
  }
}
const read = (await log.read("s", { fromSeq: 1, limit: 100_000 })).length;
await log.close();
console.log(JSON.stringify({ recorded, refusal, read }));
