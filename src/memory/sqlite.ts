import type { EventLog } from "#/core/store.ts";
import { LIMITS } from "#/core/limits.ts";
import { SqlEventLog } from "#/memory/event_log.ts";
import { migrate, MIGRATIONS, readSchemaVersion, requireKnownVersion } from "#/memory/migrations.ts";
import { rollBackJournal, SqliteDriver, type SqliteOptions } from "#/memory/sqlite_driver.ts";
import { corruptStore } from "#/memory/store_error.ts";
import { backUpStoreFile, lockStoreFile, type StoreFile } from "#/memory/store_file.ts";

/** Where the log lies and what time it is. */
export interface EventLogOptions {
  /** Absolute path of the file; `<path>.lock`, `-wal`, `-shm` and `.v<n>.bak` lie beside it. */
  readonly path: string;
  /** Integer ms UTC. */
  now(): number;
  /** Size of the file beyond which an append is refused. */
  readonly bytesMax?: number;
  /** Steps of the schema. */
  readonly migrations?: readonly (readonly string[])[];
}

/** Tables that a check after an unclean close reads; blobs prove themselves by their hash when they are read. */
const CHECKED = ["sessions", "turns", "events", "event_blobs"];

/**
 * Opens the event log in one SQLite file, creating or migrating it; needs read and write permission for its folder, nothing else.
 * Throws AppError `lock_held` (someone has it open), `store_newer`, `store_corrupt`, `store_failed`; the file is never deleted, and it
 * is copied before a migration.
 */
export async function openEventLog(options: EventLogOptions): Promise<EventLog> {
  const file = lockStoreFile(options.path);
  const migrations = options.migrations ?? MIGRATIONS;
  let driver: SqliteDriver | undefined;
  try {
    // Killed while it made the file, before the write-ahead log was there: the first start of a workspace, cut off.
    if (file.hasJournal) rollBackJournal(file.path, file.name);
    const version = await inspect(file, migrations);
    driver = openDriver(file, options);
    if (version > 0 && version < migrations.length) {
      // The close brings what is in the write-ahead log into the file that is copied.
      await driver.close();
      backUpStoreFile(file, version);
      driver = openDriver(file, options);
    }
    await migrate(driver, version, migrations);
    // Nobody else lives: the lock says so. Without room for this they run out.
    if (migrations === MIGRATIONS) await driver.all({ sql: "DELETE FROM leases" }).catch(() => []);
    return new SqlEventLog({ driver, now: options.now, name: file.name, closed: file.release });
  } catch (error) {
    try {
      await driver?.close();
    } finally {
      file.release();
    }
    throw error;
  }
}

/** The schema's version. What cannot be used is refused here, by a reader that leaves every byte as it is: SQLite's writers tidy up when they close. */
async function inspect(file: StoreFile, migrations: readonly (readonly string[])[]): Promise<number> {
  if (file.bytes === 0) {
    // SQLite would throw the write-ahead log of an empty file away, and with it what is in there.
    if (file.isUnclean) throw corruptStore(file.name, "only its write-ahead log is left");
    return 0;
  }
  const reader = openDriver(file, { isReadOnly: true });
  try {
    const version = await readSchemaVersion(reader, file.name);
    requireKnownVersion(version, file.name, migrations);
    if (version > 0 && file.isUnclean && file.bytes <= LIMITS.logCheckBytesMax) reader.check(CHECKED);
    return version;
  } finally {
    await reader.close();
  }
}

function openDriver({ path, name }: StoreFile, options: Partial<SqliteOptions>): SqliteDriver {
  return new SqliteDriver({ bytesMax: LIMITS.eventLogBytesMax, ...options, path, name });
}
