/**
 * Prints the heads of the audit log that an event log names, one JSON line each, the newest first. A process of its own with one
 * permission, to read the folder of that file (src/runner/plan_audit_heads.ts): a guest wrote it, and SQLite parses it here.
 */
import { LIMITS } from "#/core/limits.ts";
import { readAuditHeads } from "#/memory/audit_heads.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";

const encoder = new TextEncoder();

async function main(path: string): Promise<void> {
  // SQLite would follow a link to a database outside, which Deno's flag does not see.
  if (!Deno.lstatSync(path).isFile) throw new Error("the event log is no plain file");
  const driver = new SqliteDriver({ path, name: "event log", bytesMax: LIMITS.eventLogBytesMax, isReadOnly: true });
  // For all of SQLite in this process.
  await driver.all({ sql: `PRAGMA hard_heap_limit=${LIMITS.auditHeadsBytesMax}` });
  for (const { seq, sha256, turn } of await readAuditHeads(driver)) write(`${JSON.stringify({ seq, sha256, turn })}\n`);
  await driver.close();
}

function write(text: string): void {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

await main(Deno.args[0]!);
