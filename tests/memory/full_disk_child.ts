/**
 * Runs on a small disk: appends to an event log, closes and opens it with each amount of room, and looks at what it holds after each.
 * `full_disk_child.ts <folder> <rooms in bytes, with commas>` prints the ends that it saw.
 */
import assert from "node:assert/strict";
import type { EventLog } from "#/core/store.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { messageOf, sessionOf } from "../contract/event_samples.ts";
import { openFiller, withRoom } from "../fixture/small_disk.ts";

const [folder = "", rooms = ""] = Deno.args;
const disk = openFiller(folder);
const open = (name: string) => openEventLog({ path: `${folder}/${name}.db`, now: Date.now });
const textsOf = async (log: EventLog) =>
  (await log.read("s", { fromSeq: 1, limit: 10_000 })).map(({ payload }) => (payload as { text: string }).text);

const ends = new Set<string>();
const taken: string[] = [];
let log = await open("log");
await log.ensureSession(sessionOf("s"));
for (const room of rooms.split(",").map(Number)) {
  for (const durability of ["full", "normal"] as const) {
    const text = `${room} ${durability} ${"x".repeat(10_000)}`;
    const end = await withRoom(disk, room, () => log.append("s", "t", [messageOf(text)], { durability }));
    if (end === "ok") taken.push(text);
    ends.add(end);
    assert.deepEqual(await textsOf(log), taken, `${room}: ${end}`);
  }
  ends.add(await withRoom(disk, room, () => log.close()));
  ends.add(await withRoom(disk, room, async () => await (await open(`${room}`)).close()));
  log = await open("log");
  assert.deepEqual(await textsOf(log), taken, `${room}: opened again`);
  await (await open(`${room}`)).close();
}
await log.close();
console.log([...ends].sort().join());
