import { DatabaseSync } from "node:sqlite";
import type { EventPayloads } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import * as SQL from "#/memory/event_sql.ts";
import { migrate } from "#/memory/migrations.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { type StoreFacts, sync, verifyStore } from "#/memory/store_copy.ts";
import { storeFailed, toStoreError } from "#/memory/store_error.ts";
import { lockStoreFile } from "#/memory/store_file.ts";

const ENDED: EventPayloads["turn_cancelled"] = { reason: "restored from a backup", steps: 0 };

/** What a restore takes and where it puts it. */
export interface RestoreInput {
  /** Path of the backup. It is copied, never opened. */
  readonly from: string;
  /** Path of the store. */
  readonly path: string;
  /** Part of the name that the replaced store gets: `<path>.replaced-<stamp>`. */
  readonly stamp: string;
  /** Integer ms UTC. */
  now(): number;
}

/** A restored store. */
export interface Restored extends StoreFacts {
  /** Where the replaced one lies; undefined when there was none. */
  readonly replaced?: string;
  /** Turns that ran when the backup was made; they are ended. */
  readonly turnsEnded: number;
}

/**
 * Puts a backup in the place of a store: copied beside it, verified there, then renamed, so that a crash leaves the one or the other. The
 * replaced one stays, with its write-ahead log. Turns that are open in the backup are ended: they went on after it was made, and to resume
 * them would do again what they did. Throws AppError `lock_held` when somebody has the store open, `store_*` for a backup that is
 * not whole; then the store is as it was.
 */
export async function restoreStore({ from, path, stamp, now }: RestoreInput): Promise<Restored> {
  const name = from.slice(from.lastIndexOf("/") + 1);
  const file = lockStoreFile(path);
  const copy = `${path}.restore`;
  try {
    removeAll([copy, ...besides(copy)]);
    const { size } = Deno.statSync(from);
    if (size > LIMITS.eventLogBytesMax) throw storeFailed(name, "full", "it is larger than an event log may be");
    Deno.copyFileSync(from, copy);
    Deno.chmodSync(copy, 0o600);
    const facts = verifyStore(copy, { name, remedy: "nothing was changed; use another backup" });
    const turnsEnded = await endTurns(copy, name, facts.schema, now());
    removeAll(besides(copy));
    sync(copy);
    const replaced = file.bytes > 0 || file.isUnclean ? keepAside(path, `${path}.replaced-${stamp}`) : undefined;
    Deno.renameSync(copy, path);
    syncFolder(path);
    return { ...facts, turnsEnded, ...(replaced === undefined ? {} : { replaced }) };
  } catch (error) {
    removeAll([copy, ...besides(copy)]);
    throw toStoreError(error, name);
  } finally {
    file.release();
  }
}

/** By the statements themselves: the process that restores has no packages, and what checks an event needs one. */
async function endTurns(path: string, name: string, schema: number, at: number): Promise<number> {
  const driver = new SqliteDriver({ path, name, bytesMax: LIMITS.eventLogBytesMax });
  try {
    await migrate(driver, schema);
    const open = await driver.all({ sql: SQL.OPEN_TURNS });
    for (const row of open) {
      const [session, turn] = [String(row["session"]), String(row["turn"])];
      await driver.transaction([
        { sql: SQL.TAKE_SEQS, values: [session, 1, at] },
        { sql: SQL.UPSERT_TURN, values: [session, turn, 1, "ended"] },
        { sql: SQL.INSERT_EVENT, values: [session, 0, turn, "turn_cancelled", 1, at, 0, JSON.stringify(ENDED)] },
      ], { durability: "full" });
    }
    return open.length;
  } finally {
    await driver.close();
  }
}

/** Gives the store a second name. Its write-ahead log must not stay where the next database would be read with it. */
function keepAside(path: string, aside: string): string {
  if (isReadable(path)) {
    // The close brings the write-ahead log into the file: then a crash between the next steps takes nothing apart.
    const db = new DatabaseSync(path, { timeout: LIMITS.storeBusyMs });
    try {
      db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
    } finally {
      db.close();
    }
  }
  Deno.linkSync(path, aside);
  for (const part of ["-wal", "-journal"]) {
    if (isThere(path + part)) Deno.renameSync(path + part, aside + part);
  }
  removeAll([`${path}-shm`]);
  return aside;
}

/** False for a damaged store. It is asked by a reader, for a writer tidies up when it closes, and with it what could be saved. */
function isReadable(path: string): boolean {
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: LIMITS.storeBusyMs });
    try {
      db.prepare("SELECT count(*) FROM sqlite_schema").all();
      return true;
    } finally {
      db.close();
    }
  } catch {
    return false;
  }
}

function besides(path: string): readonly string[] {
  return [`${path}-wal`, `${path}-shm`, `${path}-journal`];
}

function removeAll(paths: readonly string[]): void {
  for (const path of paths) if (isThere(path)) Deno.removeSync(path);
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A rename is on the disk when its folder is. */
function syncFolder(path: string): void {
  using folder = Deno.openSync(path.slice(0, path.lastIndexOf("/")));
  folder.syncSync();
}
