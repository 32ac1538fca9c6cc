import { backup, DatabaseSync } from "node:sqlite";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { APPLICATION_ID, MIGRATIONS } from "#/memory/migrations.ts";
import { corruptStore, storeFailed, toStoreError } from "#/memory/store_error.ts";

/** What a whole store holds. */
export interface StoreFacts {
  readonly bytes: number;
  /** Version of its schema. */
  readonly schema: number;
  readonly sessions: number;
  readonly events: number;
}

/** What messages say of a store that is looked at. */
export interface StoreWords {
  readonly name: string;
  /** What to do, and what was left as it was. */
  readonly remedy: string;
}

/** One step: other processes that write would make it begin again between two. They can go on writing meanwhile. */
const PAGES_PER_STEP = 2_147_483_647;

/**
 * Copies the store in `from`, which another process may be writing to, as it is at one moment: whole, verified, mode 0600 and one file. `to`
 * does not exist. Needs permission to read the folder of `from` and to write that of `to`. Throws AppError `store_*`; then `to` is rubbish.
 */
export async function copyStore(from: string, to: string, name: string): Promise<StoreFacts> {
  const words = { name, remedy: "no backup was made of it" };
  const { size } = lookAt(from, words);
  if (size === 0) throw new AppError("store_failed", `${name} is empty: ${words.remedy}`, { params: { file: name } });
  try {
    const source = new DatabaseSync(from, { readOnly: true, timeout: LIMITS.storeBusyMs });
    try {
      // A look at it, for `backup` says of its errors no more than a text (measured, 2.9.6).
      source.prepare("PRAGMA schema_version").all();
      await backup(source, to, { rate: PAGES_PER_STEP }).catch((cause: unknown) => {
        throw toBackupError(cause, name);
      });
    } finally {
      source.close();
    }
    Deno.chmodSync(to, 0o600);
    const copy = new DatabaseSync(to);
    // The write-ahead log of the original is in it by now; a file that needs none beside it can be moved.
    copy.prepare("PRAGMA journal_mode=DELETE").all();
    copy.close();
    sync(to);
  } catch (error) {
    throw toStoreError(error, name);
  }
  return verifyStore(to, words);
}

/**
 * Looks at each page of a store that nobody has open. Throws AppError `store_corrupt` for what is damaged, cut off, another program's, or has
 * a trigger, a view or a table that no version of ours made; `store_newer`; `store_failed` for what cannot be read.
 */
export function verifyStore(path: string, words: StoreWords): StoreFacts {
  const { size } = lookAt(path, words);
  const refuse = (why: string, cause?: unknown) =>
    new AppError("store_corrupt", `${words.name} ${why}: ${words.remedy}`, { cause, params: { file: words.name } });
  const whole = toWholeBytes(path);
  if (whole === undefined) throw refuse("is no backup of an event log");
  if (size < whole) throw refuse(`is cut off (${size} of ${whole} bytes)`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: LIMITS.storeBusyMs });
    db.exec(`PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;`);
    const one = (sql: string) => Object.values(db!.prepare(sql).get() ?? {})[0];
    if (one("PRAGMA application_id") !== APPLICATION_ID) throw refuse("is a database of another program");
    const schema = Number(one("PRAGMA user_version"));
    if (schema > MIGRATIONS.length) {
      const message =
        `${words.name} was written by a newer version of this program (schema ${schema}, this one knows ` +
        `${MIGRATIONS.length}): ${words.remedy}; update the program`;
      throw new AppError("store_newer", message, { params: { file: words.name, version: schema } });
    }
    const found = one("PRAGMA integrity_check(1)");
    if (found !== "ok") throw refuse(`is damaged (${String(found).split("\n")[0]})`);
    if (schema < 1 || toShape(db) !== toShapeOf(schema)) {
      throw refuse("has tables that no version of this program made");
    }
    const [sessions, events] = [one("SELECT count(*) FROM sessions"), one("SELECT count(*) FROM events")].map(Number);
    return { bytes: size, schema, sessions: sessions!, events: events! };
  } catch (error) {
    const meant = toStoreError(error, words.name);
    throw meant instanceof AppError && meant.code === "store_corrupt" && meant.cause === error
      ? refuse(`is damaged (${(error as Error).message})`, error)
      : meant;
  } finally {
    db?.close();
  }
}

function toBackupError(cause: unknown, name: string): unknown {
  const text = cause instanceof Error ? cause.message : "";
  if (/\bfull\b/.test(text)) return storeFailed(name, "full", "no room is left where the backup goes", cause);
  if (/malformed|not a database/.test(text)) return corruptStore(name, text, cause);
  return storeFailed(name, "io", `it cannot be copied (${text})`, cause);
}

/** Writes what the system still holds of a file to the disk. */
export function sync(path: string): void {
  using file = Deno.openSync(path, { read: true, write: true });
  file.syncSync();
}

function lookAt(path: string, { name, remedy }: StoreWords): Deno.FileInfo {
  try {
    const info = Deno.lstatSync(path);
    // SQLite would follow a link out of the folder, which Deno's flag does not see.
    if (info.isFile) return info;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw toStoreError(error, name);
    throw new AppError("store_failed", `there is no ${name}: ${remedy}`, { cause: error, params: { file: name } });
  }
  throw new AppError("store_failed", `${name} is no plain file: ${remedy}`, { params: { file: name } });
}

/** How long a database says that it is (https://www.sqlite.org/fileformat2.html#the_database_header); undefined for what is none. */
function toWholeBytes(path: string): number | undefined {
  using file = Deno.openSync(path);
  const head = new Uint8Array(100);
  if ((file.readSync(head) ?? 0) < head.length) return undefined;
  if (new TextDecoder().decode(head.subarray(0, 16)) !== "SQLite format 3\0") return undefined;
  const view = new DataView(head.buffer);
  // 1 means 65,536.
  return (view.getUint16(16) === 1 ? 65_536 : view.getUint16(16)) * view.getUint32(28);
}

function toShape(db: DatabaseSync): string {
  return JSON.stringify(db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all());
}

function toShapeOf(schema: number): string {
  const db = new DatabaseSync(":memory:");
  try {
    for (const sql of MIGRATIONS.slice(0, schema).flat()) db.exec(sql);
    return toShape(db);
  } finally {
    db.close();
  }
}
