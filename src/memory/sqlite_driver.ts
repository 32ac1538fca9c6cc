import { DatabaseSync, type StatementSync } from "node:sqlite";
import { AppError } from "#/core/error.ts";
import type { Durability } from "#/core/store.ts";
import { LIMITS } from "#/core/limits.ts";
import { CommitQueue, type PendingCommit, settle, strongest } from "#/memory/commit_queue.ts";
import type { SqlDriver, SqlRow, SqlStatement, SqlValue, TransactionOptions } from "#/memory/sql.ts";
import { corruptStore, storeFailed, toStoreError } from "#/memory/store_error.ts";

/** A file of SQLite. `name` is what messages say, `path` absolute. */
export interface SqliteOptions {
  readonly path: string;
  readonly name: string;
  /** Size of the file at which a write is refused. */
  readonly bytesMax: number;
  /** Changes no byte of the file or its write-ahead log, not even when it closes. */
  readonly isReadOnly?: boolean;
}

/**
 * SQLite through `node:sqlite`, which needs read and write permission for the file's folder and nothing else (facts/platform.md).
 * A transaction waits for what else this tick asks for and then commits with it; every other call commits first what waits.
 */
export class SqliteDriver implements SqlDriver {
  readonly #db: DatabaseSync;
  readonly #options: SqliteOptions;
  readonly #statements = new Map<string, StatementSync>();
  readonly #queue: CommitQueue;
  /** Of the last commit. */
  #commitMs = 0;
  #synchronous: Durability | undefined;
  #isClosed = false;

  /** Opens the file, or creates it. Throws AppError `store_corrupt` or `store_failed`. */
  constructor(options: SqliteOptions) {
    this.#options = options;
    this.#queue = new CommitQueue(options.name);
    try {
      const { path, isReadOnly: readOnly = false } = options;
      const timeout = LIMITS.storeBusyMs;
      this.#db = new DatabaseSync(path, { readOnly, timeout, enableForeignKeyConstraints: true });
    } catch (cause) {
      const error = toStoreError(cause, options.name);
      throw error === cause
        ? storeFailed(options.name, "io", "it cannot be opened: look at its owner and mode", cause)
        : error;
    }
    try {
      for (const pragma of pragmas(options)) this.#run(pragma, []);
    } catch (error) {
      this.#db.close();
      throw toStoreError(error, options.name);
    }
  }

  all(statement: SqlStatement): Promise<readonly SqlRow[]> {
    return Promise.try(() => {
      this.#flush();
      return this.#guard(() => this.#run(statement.sql, statement.values ?? []));
    });
  }

  transaction(
    statements: readonly SqlStatement[],
    options: TransactionOptions,
  ): Promise<readonly (readonly SqlRow[])[]> {
    if (this.#queue.size === 0) {
      const flush = () => this.#flush();
      // What came in while a slow disk held everybody up is let in first; after a fast one there is nobody to wait for.
      if (this.#commitMs > LIMITS.commitSlowMs) setImmediate(flush);
      else queueMicrotask(flush);
    }
    return this.#queue.add(statements, options);
  }

  close(): Promise<void> {
    return Promise.try(() => {
      if (this.#isClosed) return;
      this.#flush();
      this.#isClosed = true;
      this.#statements.clear();
      this.#guard(() => this.#db.close());
    });
  }

  /** Reads the named tables page by page. Throws AppError `store_corrupt` with the first finding. */
  check(tables: readonly string[]): void {
    for (const table of tables) {
      const [row] = this.#guard(() => this.#run(`PRAGMA quick_check("${table}")`, []));
      const finding = row === undefined ? "no answer" : String(Object.values(row)[0]);
      if (finding !== "ok") throw corruptStore(this.#options.name, finding.split("\n")[0]!);
    }
  }

  #flush(): void {
    while (this.#queue.size > 0) this.#commit(this.#queue.take());
  }

  #commit(group: readonly PendingCommit[]): void {
    const startedAt = performance.now();
    try {
      settle(group, this.#guard(() => this.#transact(group.flatMap(({ statements }) => statements), strongest(group))));
    } catch (error) {
      // Nothing of the group is there. Alone, each gets what is its own; whoever holds the file or closed it stands in everybody's way.
      const isEverybodys = error instanceof AppError && EVERYBODYS.has(String(error.params["reason"]));
      if (group.length === 1 || isEverybodys) group.forEach(({ reject }) => reject(error));
      else for (const one of group) this.#commit([one]);
    }
    this.#commitMs = performance.now() - startedAt;
  }

  #transact(statements: readonly SqlStatement[], durability: Durability): readonly (readonly SqlRow[])[] {
    if (this.#synchronous !== durability) {
      // A prepared `PRAGMA synchronous` takes effect when it is compiled, so it cannot be kept and run again.
      this.#db.exec(`PRAGMA synchronous=${durability === "full" ? "FULL" : "NORMAL"}`);
      this.#synchronous = durability;
    }
    this.#run("BEGIN IMMEDIATE", []);
    try {
      const rows = statements.map((statement) => this.#run(statement.sql, statement.values ?? []));
      this.#run("COMMIT", []);
      return rows;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (full, io) and not after others.
      if (this.#db.isTransaction) this.#run("ROLLBACK", []);
      throw error;
    }
  }

  #run(sql: string, values: readonly SqlValue[]): readonly SqlRow[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      if (!sql.startsWith("PRAGMA")) this.#statements.set(sql, statement);
    }
    return statement.all(...values.map(toBound));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toStoreError(error, this.#options.name);
    }
  }
}

/**
 * Takes back what a transaction in a rollback journal had begun when its process died, and changes nothing else of the file. A reader cannot
 * (SQLITE_READONLY_ROLLBACK). Throws AppError as the driver.
 */
export function rollBackJournal(path: string, name: string): void {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: LIMITS.storeBusyMs });
    // The first look is what rolls back.
    db.prepare("PRAGMA schema_version").all();
  } catch (error) {
    throw toStoreError(error, name);
  } finally {
    db?.close();
  }
}

/** Deno 2.9.6 binds every number as REAL; a bigint becomes INTEGER. */
function toBound(value: SqlValue): null | bigint | number | string | Uint8Array {
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
}

function pragmas(options: SqliteOptions): readonly string[] {
  return [
    // Before anything is in the file, or never: room of a deleted session can be given back only then. VACUUM needs an ATTACH, which a
    // process without all permissions has none of (measured, Deno 2.9.6).
    ...(options.isReadOnly ? [] : ["PRAGMA auto_vacuum=INCREMENTAL", "PRAGMA journal_mode=WAL"]),
    "PRAGMA synchronous=NORMAL",
    // macOS: fsync alone does not reach the platter (https://www.sqlite.org/pragma.html#pragma_fullfsync).
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
    `PRAGMA journal_size_limit=${LIMITS.walBytesMax}`,
    // SQLite's own temporary files would lie in /tmp: its C code is not bound by Deno's permissions.
    "PRAGMA temp_store=MEMORY",
    // What a session said that was deleted is not left in the file: also not where a page was split while it was written.
    "PRAGMA secure_delete=ON",
    // A database file is input: functions in its schema do not run, and cell sizes are checked before they are used.
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    `PRAGMA max_page_count=${Math.floor(options.bytesMax / PAGE_BYTES)}`,
  ];
}

const PAGE_BYTES = 4_096;
const EVERYBODYS = new Set(["busy", "closed"]);
