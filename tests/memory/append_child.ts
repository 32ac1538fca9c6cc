/**
 * A process that appends until it is killed: `append_child.ts <path> <events per batch> <characters per event> <normal|full>`.
 * A path that starts with http: is a remote store. Prints the last `seq` of a batch when the log said that it is recorded.
 */
import { Secret } from "#/lib/secret.ts";
import { openRemoteEventLog } from "#/memory/remote.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, sessionOf } from "../contract/event_samples.ts";

const [path = "", events = "1", chars = "10", durability = "full"] = Deno.args;
const log = path.startsWith("http:")
  ? await openRemoteEventLog({ url: path, token: new Secret("t"), fetch, now: Date.now })
  : await openEventLog({ path, now: Date.now });
await log.ensureSession(sessionOf("s"));
const batch = Array.from({ length: Number(events) }, (_, index) => messageOf(`${index}:`.padEnd(Number(chars), "x")));
while (true) {
  const stored = await log.append("s", "t", batch, { durability: durability === "full" ? "full" : "normal" });
  // Synchronous: a line that the parent saw was written after the append and before the next one.
  Deno.stdout.writeSync(new TextEncoder().encode(`${stored.at(-1)!.seq}\n`));
}
