import { AppError } from "#/core/error.ts";
import type { SqlDriver } from "#/memory/sql.ts";
import { corruptStore } from "#/memory/store_error.ts";

/** `OXYD` in ASCII: tells our file from any other database (https://www.sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x4f58_5944;

/**
 * Steps of the schema; step n (from 1) leads to `user_version` n. A step that was released never changes.
 * `sessions.last_seq` numbers the events; `turns` is kept beside them so that open turns are found without reading the log.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `PRAGMA application_id=${APPLICATION_ID}`,
    `CREATE TABLE sessions (
      id TEXT PRIMARY KEY, user TEXT NOT NULL, agent TEXT NOT NULL, display_name TEXT, channel TEXT NOT NULL, parent TEXT,
      created_at INTEGER NOT NULL, last_active_at INTEGER NOT NULL, archived INTEGER NOT NULL DEFAULT 0, last_seq INTEGER NOT NULL DEFAULT 0
    ) STRICT`,
    `CREATE INDEX sessions_by_user ON sessions (user, last_active_at)`,
    `CREATE TABLE turns (
      id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (id), turn TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('open', 'parked', 'ended')), first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
      UNIQUE (session, turn)
    ) STRICT`,
    `CREATE INDEX turns_open ON turns (id) WHERE state = 'open'`,
    `CREATE INDEX turns_parked ON turns (id) WHERE state = 'parked'`,
    `CREATE TABLE events (
      id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (id), seq INTEGER NOT NULL, turn TEXT NOT NULL,
      type TEXT NOT NULL, v INTEGER NOT NULL, at INTEGER NOT NULL, blobs INTEGER NOT NULL, payload TEXT NOT NULL,
      UNIQUE (session, seq)
    ) STRICT`,
    `CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, bytes INTEGER NOT NULL, content BLOB NOT NULL) STRICT`,
    `CREATE TABLE event_blobs (
      session TEXT NOT NULL, seq INTEGER NOT NULL, ordinal INTEGER NOT NULL, sha256 TEXT NOT NULL REFERENCES blobs (sha256),
      mime_type TEXT NOT NULL, PRIMARY KEY (session, seq, ordinal), FOREIGN KEY (session, seq) REFERENCES events (session, seq)
    ) STRICT, WITHOUT ROWID`,
    `CREATE INDEX event_blobs_by_content ON event_blobs (sha256)`,
  ],
  // Calls of models by time, so that what today cost is found without reading the log.
  [`CREATE INDEX events_calls ON events (at) WHERE type = 'model_request'`],
  // Which gateway works on a session, until when (seconds of this database's clock). No reference: it may come before the session.
  [`CREATE TABLE leases (session TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at REAL NOT NULL) STRICT, WITHOUT ROWID`],
];

/** The schema's version; 0 for an empty database. Throws AppError `store_corrupt` for a database that is not an event log. */
export async function readSchemaVersion(driver: SqlDriver, file: string): Promise<number> {
  const [row] = await driver.all({
    sql: `SELECT (SELECT count(*) FROM sqlite_schema) AS objects, user_version AS version, application_id AS application
          FROM pragma_user_version, pragma_application_id`,
  });
  if (row?.["objects"] === 0) return 0;
  if (row?.["application"] !== APPLICATION_ID || typeof row["version"] !== "number" || row["version"] < 1) {
    throw corruptStore(file, "it is a database of another program");
  }
  return row["version"];
}

/** Throws AppError `store_newer` for a schema beyond the last known step. Nothing has been changed by then. */
export function requireKnownVersion(
  version: number,
  file: string,
  migrations: readonly (readonly string[])[] = MIGRATIONS,
): void {
  const known = migrations.length;
  if (version <= known) return;
  const message =
    `${file} was written by a newer version of this program (schema ${version}, this one knows ${known}); it was left as it is. ` +
    `Update the program, or move ${file} away and put the backup ${file}.v${known}.bak in its place.`;
  throw new AppError("store_newer", message, { params: { file, version, known } });
}

/** Leads the schema from `version` to the last step; each step happens whole or not at all. */
export async function migrate(
  driver: SqlDriver,
  version: number,
  migrations: readonly (readonly string[])[] = MIGRATIONS,
): Promise<void> {
  for (const [index, step] of migrations.entries()) {
    if (index < version) continue;
    const statements = [...step, `PRAGMA user_version=${index + 1}`].map((sql) => ({ sql }));
    await driver.transaction(statements, { durability: "full" });
  }
}
