import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { readAuditHeads } from "#/memory/audit_heads.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);

async function logOf(turns: readonly (readonly [turn: string, auditHead: unknown])[]): Promise<string> {
  const path = `${await Deno.makeTempDir()}/oxydra.db`;
  const log = await openEventLog({ path, now: Date.now });
  await log.ensureSession(sessionOf("s"));
  for (const [turn] of turns) {
    await log.append("s", turn, [messageOf("hello"), SAMPLES.turn_done], { durability: "normal" });
  }
  await log.append("s", "failed", [messageOf("hello"), SAMPLES.turn_failed], { durability: "normal" });
  await log.append("s", "open", [messageOf("hello")], { durability: "normal" });
  await log.close();
  // What a guest writes goes by no schema.
  const writer = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
  for (const [turn, auditHead] of turns) {
    const sql =
      `UPDATE events SET payload = json_set(payload, '$.auditHead', json(?1)) WHERE turn = ?2 AND type = 'turn_done'`;
    await writer.all({ sql, values: [JSON.stringify(auditHead), turn] });
  }
  await writer.close();
  return path;
}

function openReader(path: string): SqliteDriver {
  return new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax, isReadOnly: true });
}

Deno.test("readAuditHeads() gives each head once, the newest first, and passes over what is none", async () => {
  const path = await logOf([
    ["t1", { seq: 3, sha256: A }],
    ["t2", null],
    ["t3", { seq: 5, sha256: B }],
    ["t4", { seq: 5, sha256: B }],
    ["t5", { seq: 5, sha256: A }],
    ...[1, "x", [], {}, { seq: "5", sha256: A }, { seq: 0, sha256: A }, { seq: 1.5, sha256: A }, { seq: 9 }]
      .map((head, i) => [`n${i}`, head] as const),
    ["n", { seq: 9, sha256: "a" }],
    ["m", { seq: 9, sha256: 5 }],
  ]);
  const reader = openReader(path);
  const heads = await readAuditHeads(reader);
  assert.deepEqual(heads.map(({ seq, sha256, turn }) => [seq, sha256, turn]), [[5, A, "t5"], [5, B, "t4"], [
    3,
    A,
    "t1",
  ]]);
  assert.deepEqual((await readAuditHeads(reader, 2)).map(({ turn }) => turn), ["t5", "t4"]);
  await reader.close();
});

Deno.test("readAuditHeads() passes over a payload that is no JSON", async () => {
  const path = await logOf([["t1", { seq: 3, sha256: A }], ["t2", { seq: 5, sha256: B }]]);
  const writer = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
  await writer.all({ sql: `UPDATE events SET payload = '{"auditHead":' WHERE turn = 't2'` });
  await writer.close();
  const reader = openReader(path);
  assert.deepEqual((await readAuditHeads(reader)).map(({ turn }) => turn), ["t1"]);
  await reader.close();
});

Deno.test("readAuditHeads() throws for a database that is none of ours", async () => {
  const path = `${await Deno.makeTempDir()}/oxydra.db`;
  const writer = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
  await writer.all({ sql: "CREATE TABLE turns (id INTEGER)" });
  await writer.close();
  const reader = openReader(path);
  await assert.rejects(readAuditHeads(reader));
  await reader.close();
});
