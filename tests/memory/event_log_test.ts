import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LIMITS } from "#/core/limits.ts";
import { SqlEventLog } from "#/memory/event_log.ts";
import { migrate } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { testEventLog } from "../contract/event_log_contract.ts";
import { guestCommand } from "./guest_command.ts";

testEventLog("SqlEventLog on node:sqlite", (folder, now) => openEventLog({ path: `${folder}/events.db`, now }), {
  execute(folder, sql) {
    const db = new DatabaseSync(`${folder}/events.db`);
    db.exec(sql);
    db.close();
    return Promise.resolve();
  },
  writer(folder, batch) {
    const args = [`${folder}/events.db`, String(batch.events), String(batch.chars), batch.durability];
    return Promise.resolve(guestCommand("append_child.ts", folder, args).spawn());
  },
});

async function withLog(
  check: (log: SqlEventLog, closed: () => number) => Promise<void>,
  now: () => number = Date.now,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  let closed = 0;
  const log = new SqlEventLog({ driver, now, name: "a.db", closed: () => void closed++ });
  try {
    await migrate(driver, 0);
    await check(log, () => closed);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const session = (id: string) => ({
  id,
  user: "ann",
  agent: "default",
  channel: "tui",
  displayName: null,
  parent: null,
});

Deno.test("SqlEventLog is told when its driver is closed, and only then", async () => {
  await withLog(async (log, closed) => {
    await log.ensureSession(session("s"));
    assert.equal(closed(), 0);
    await log.close();
    assert.equal(closed(), 1);
  });
});

Deno.test("SqlEventLog takes the longest id and refuses what would become another id", async () => {
  await withLog(async (log) => {
    const longest = "ä".repeat(LIMITS.logIdCharsMax);
    assert.equal((await log.ensureSession(session(longest))).id, longest);
    for (const id of ["", `${longest}x`, "a\0b", "\ud800"]) {
      await assert.rejects(log.ensureSession(session(id)), RangeError, JSON.stringify(id.slice(0, 9)));
      await assert.rejects(log.append(longest, id, [], { durability: "full" }), RangeError);
    }
    assert.equal((await log.listSessions("ann", { includeArchived: true })).length, 1);
  });
});

Deno.test("SqlEventLog refuses a clock that gives no time, and reads that are not bounded", async () => {
  for (const now of [NaN, -1, 1.5, Infinity]) {
    await withLog((log) => assert.rejects(log.ensureSession(session("s")), RangeError), () => now);
  }
  await withLog(async (log) => {
    for (const limit of [0, -1, 1.5, LIMITS.eventsPerReadMax + 1]) {
      await assert.rejects(log.read("s", { fromSeq: 0, limit }), RangeError);
    }
    await assert.rejects(log.read("s", { fromSeq: -1, limit: 1 }), RangeError);
  });
});
