/**
 * Answers one question about an event log, a JSON line each: `heads` (of the audit log, which turns named) or `usage` (since a time, integer
 * ms UTC), the newest first. A process of its own with one permission, to read the folder of that file (src/runner/plan_log_reader.ts): a
 * guest wrote it, and SQLite parses it here.
 */
import { LIMITS } from "#/core/limits.ts";
import { readAuditHeads } from "#/memory/audit_heads.ts";
import type { SqlRow } from "#/memory/sql.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { readUsage } from "#/memory/usage.ts";

const encoder = new TextEncoder();

async function main([path, question, since]: readonly string[]): Promise<void> {
  // SQLite would follow a link to a database outside, which Deno's flag does not see.
  if (!Deno.lstatSync(path!).isFile) throw new Error("the event log is no plain file");
  const driver = new SqliteDriver({
    path: path!,
    name: "event log",
    bytesMax: LIMITS.eventLogBytesMax,
    isReadOnly: true,
  });
  // For all of SQLite in this process.
  await driver.all({ sql: `PRAGMA hard_heap_limit=${LIMITS.logReaderBytesMax}` });
  const rows: readonly SqlRow[] = question === "usage"
    ? await readUsage(driver, Number(since))
    : await readAuditHeads(driver);
  for (const row of rows) write(`${JSON.stringify(row)}\n`);
  await driver.close();
}

function write(text: string): void {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

await main(Deno.args);
