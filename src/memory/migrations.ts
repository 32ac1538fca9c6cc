import { AppError } from "#/core/error.ts";
import type { SqlDriver } from "#/memory/sql.ts";
import { corruptStore, isRemoteName } from "#/memory/store_error.ts";

/** `OXYD` in ASCII: tells our file from any other database (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x4f58_5944;

/** `n` is the order, so that the oldest can go. */
const RECEIPTS =
  `CREATE TABLE oxydra_receipts (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL) STRICT`;

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
  // Up to where a session's events were copied into it, by a branch or an import: what they cost was paid elsewhere.
  [`CREATE TABLE copies (session TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT, WITHOUT ROWID`],
  // The newest summary of a session is found without reading its log, and none of an epoch that is there already is written.
  [`CREATE UNIQUE INDEX events_summaries ON events (session, payload ->> '$.epoch') WHERE type = 'summary'`],
];

/**
 * The same steps for a remote store. A libSQL server takes no application id (libsql-server/src/query_analysis.rs), so the table of receipts
 * says that the database is ours.
 */
export const REMOTE_MIGRATIONS: readonly (readonly string[])[] = MIGRATIONS.map((step) =>
  step.map((sql) => sql.startsWith("PRAGMA application_id") ? RECEIPTS : sql)
);

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

/** The same of a remote store, whose service may keep tables of its own in it. */
export async function readRemoteVersion(driver: SqlDriver, name: string): Promise<number> {
  const [row] = await driver.all({
    sql: `SELECT (
            SELECT count(*) FROM sqlite_schema
            WHERE name NOT GLOB 'sqlite_*' AND name NOT GLOB 'libsql_*' AND name NOT GLOB '_litestream*'
          ) AS objects,
          (SELECT count(*) FROM sqlite_schema WHERE name = 'oxydra_receipts') AS receipts, user_version AS version
          FROM pragma_user_version`,
  });
  if (row?.["objects"] === 0) return 0;
  if (row?.["receipts"] !== 1 || typeof row["version"] !== "number" || row["version"] < 1) {
    throw corruptStore(name, "it is a database of another program");
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
    (isRemoteName(file)
      ? "Update the program, or set memory.remote_url to another database."
      : `Update the program, or move ${file} away and put the backup ${file}.v${known}.bak in its place.`);
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
    const landed = { sql: "SELECT 1 FROM pragma_user_version WHERE user_version > ?1", values: [index] };
    await driver.transaction(statements, { durability: "full", landed });
  }
}
