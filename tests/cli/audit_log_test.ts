import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { findFolders, readAuditSegments, readHeads } from "#/cli/audit_log.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { freshDir, segmentsIn, writeLog } from "../sandbox/audit_kit.ts";
import { type AuditedMachine, makeAuditedMachine, makeBusyMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

async function heads(machine: AuditedMachine, timeoutMs?: number) {
  using _realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  return await readHeads(machine.internal, timeoutMs);
}

async function sql(machine: AuditedMachine, ...statements: readonly string[]): Promise<void> {
  const path = join(machine.internal, "oxydra.db");
  const driver = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
  for (const statement of statements) await driver.all({ sql: statement });
  await driver.close();
}

Deno.test("findFolders() finds the folders of the user, and makes none", async () => {
  using machine = makeAuditedMachine();
  using _realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  assert.equal((await findFolders({})).audit, machine.audit);
  const other = await findFolders({ user: "alice" });
  assert.equal(other.audit, join(machine.cwd, ".oxydra/workspaces/alice/audit"));
  assert.throws(() => Deno.statSync(other.root), Deno.errors.NotFound);
});

Deno.test("readAuditSegments() reads every byte of every segment, in order; nothing where there is no folder", () => {
  const dir = freshDir();
  assert.deepEqual([...readAuditSegments(dir)], []);
  writeLog(dir, 600, { segmentBytesMax: LIMITS.chunkBytesMax + 1_000 });
  const names = segmentsIn(dir);
  assert.ok(names.length > 1);
  for (const { segment, name, chunks } of readAuditSegments(dir)) {
    assert.equal(name, names[segment - 1]);
    const sizes = [...chunks].map((chunk) => chunk.length);
    assert.ok(sizes.every((size) => size <= LIMITS.chunkBytesMax));
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), Deno.statSync(join(dir, name)).size);
  }
});

Deno.test("readHeads() gives what turns saw, the newest first; nothing where there is no event log", async () => {
  using empty = makeAuditedMachine();
  assert.deepEqual(await heads(empty), []);
  using machine = await makeBusyMachine(3);
  const expected = machine.heads.map((head, i) => ({ ...head, turn: `t${i}` })).reverse();
  assert.deepEqual(await heads(machine), expected);
});

Deno.test("readHeads() takes nothing from a database that was made to deceive: a word that is no hash, too long, too much memory", async () => {
  const views = [
    `SELECT 1 AS id, 's' AS session, 't' AS turn, 'x' AS last_seq`,
    `SELECT 1 AS id, 's' AS session, hex(zeroblob(${LIMITS.logIdCharsMax})) AS turn, 2 AS last_seq`,
    `SELECT 1 AS id, 's' AS session, hex(zeroblob(${LIMITS.logReaderBytesMax})) AS turn, 2 AS last_seq`,
  ];
  for (const [i, view] of views.entries()) {
    using machine = await makeBusyMachine(1);
    await sql(machine, "PRAGMA foreign_keys=OFF", "DROP TABLE turns", `CREATE VIEW turns AS ${view}`);
    if (i === 0) assert.deepEqual(await heads(machine), []);
    else await assert.rejects(heads(machine), { code: "audit_failed" }, view);
  }
  using machine = await makeBusyMachine(1);
  await sql(machine, `UPDATE events SET payload = json_set(payload, '$.auditHead.sha256', '${"\u001b".repeat(64)}')`);
  await assert.rejects(heads(machine), { code: "audit_failed" });
});

Deno.test("readHeads() ends a database that computes without end", async () => {
  using machine = await makeBusyMachine(1);
  const endless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 's' AS session, 't' AS turn, 2 AS last_seq FROM n";
  await sql(machine, "PRAGMA foreign_keys=OFF", "DROP TABLE turns", `CREATE VIEW turns AS ${endless}`);
  await assert.rejects(heads(machine, 300), { code: "audit_failed" });
});

Deno.test("readHeads() opens no link, neither for the folder nor for the file", async () => {
  using other = await makeBusyMachine(1);
  using machine = makeAuditedMachine();
  Deno.symlinkSync(join(other.internal, "oxydra.db"), join(machine.internal, "oxydra.db"));
  await assert.rejects(heads(machine), { code: "audit_failed" });
  Deno.removeSync(machine.internal, { recursive: true });
  Deno.symlinkSync(other.internal, machine.internal);
  await assert.rejects(heads(machine), { code: "audit_failed" });
});
