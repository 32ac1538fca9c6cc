/**
 * Copies an event log to a backup, or puts a backup in its place, and says how that went in one JSON line. A process of its own that may
 * read the one and write the other (src/runner/plan_log_copier.ts): both are a guest's, and SQLite parses them here.
 */
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { copyStore } from "#/memory/store_copy.ts";
import { restoreStore } from "#/memory/store_restore.ts";

async function main([what, from, to, stamp]: readonly string[]): Promise<unknown> {
  const limiter = new SqliteDriver({ path: ":memory:", name: "memory", bytesMax: LIMITS.logReaderBytesMax });
  // For all of SQLite in this process.
  await limiter.all({ sql: `PRAGMA hard_heap_limit=${LIMITS.logReaderBytesMax}` });
  if (what === "backup") return await copyStore(from!, to!, "oxydra.db");
  return await restoreStore({ from: from!, path: to!, stamp: stamp!, now: Date.now });
}

try {
  console.log(JSON.stringify({ done: await main(Deno.args) }));
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  console.log(JSON.stringify({ failed: { code: error.code, message: error.message } }));
}
