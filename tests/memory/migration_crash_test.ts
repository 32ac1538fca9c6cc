import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { waitUntil } from "../fixture/system.ts";
import { guestCommand } from "./guest_command.ts";
import { inFolder, makeStore, textsOf } from "./store_kit.ts";

const KNOWN = MIGRATIONS.length;
const sizeOf = (path: string) => {
  try {
    return Deno.statSync(path).size;
  } catch {
    return -1;
  }
};

Deno.test("a process that is killed while it migrates leaves a log at a whole step, and the copy of what was there", async () => {
  // Each moment is something that the killed process has done by then.
  const moments: readonly (readonly [what: string, isThere: (path: string) => boolean])[] = [
    ["the copy begins", (path) => sizeOf(`${path}.v${KNOWN}.bak.part`) >= 0 || sizeOf(`${path}.v${KNOWN}.bak`) >= 0],
    ["the copy is whole", (path) => sizeOf(`${path}.v${KNOWN}.bak`) > 0],
    ["the step writes", (path) => sizeOf(`${path}.v${KNOWN}.bak`) > 0 && sizeOf(`${path}-wal`) > 0],
    ["much of it", (path) => sizeOf(`${path}-wal`) > 40_000_000],
    ["a whole step", (path) => sizeOf(path) > 50_000_000],
  ];
  const seen = new Set<number>();
  for (const [what, isThere] of moments) {
    await inFolder(async (folder) => {
      const path = `${folder}/events.db`;
      await makeStore(path, 5);
      const child = guestCommand("migrate_child.ts", folder, [path]).spawn();
      const ended = child.output();
      await waitUntil(() => isThere(path), what);
      child.kill("SIGKILL");
      await ended;
      const version = versionOf(path);
      seen.add(version);
      assert.ok(version >= KNOWN && version <= KNOWN + 2, `${what}: ${version}`);
      const text = ["x", "changed by one", "changed by two"][version - KNOWN]!;
      assert.ok(textsOf(path).every((one) => String(one).startsWith(text)), `${what}: half a step`);
      if (sizeOf(`${path}.v${KNOWN}.bak`) >= 0) {
        assert.deepEqual(textsOf(`${path}.v${KNOWN}.bak`), ["x0", "x1", "x2", "x3", "x4"], what);
        const old = await openEventLog({ path: `${path}.v${KNOWN}.bak`, now: Date.now });
        assert.equal((await old.read("s", { fromSeq: 1, limit: 9 })).length, 5, what);
        await old.close();
      } else assert.equal(version, KNOWN, what);
      if (version === KNOWN) await (await openEventLog({ path, now: Date.now })).close();
    });
  }
  assert.ok(seen.has(KNOWN), "no kill met a step");
});

function versionOf(path: string): number {
  const db = new DatabaseSync(path);
  const row = db.prepare("PRAGMA user_version").get()!;
  db.close();
  return Number(row["user_version"]);
}
