/** A process that makes one event log after another until it is killed: `create_child.ts <folder>`. Prints a line before the first. */
import { openEventLog } from "#/memory/sqlite.ts";

const [folder = ""] = Deno.args;
console.log("ready");
for (let at = 0;; at++) await (await openEventLog({ path: `${folder}/${at}/events.db`, now: Date.now })).close();
