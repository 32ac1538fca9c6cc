import { AppError } from "#/core/error.ts";
import { storeFailed, toStoreError } from "#/memory/store_error.ts";

/** A store's file, held by this process alone. */
export interface StoreFile {
  readonly path: string;
  /** Last part of the path: what messages say. */
  readonly name: string;
  /** The last process that held it did not close it: its write-ahead log is still there. */
  readonly isUnclean: boolean;
  /** A rollback journal lies beside it: a transaction was cut off. */
  readonly hasJournal: boolean;
  readonly bytes: number;
  /** Lets the next one in. Twice is the same as once. */
  release(): void;
}

/**
 * Creates the file (0600) and its folder (0700) where they are missing, takes what others may read of them away, and locks
 * `<path>.lock` with flock: the kernel gives that lock back when the process dies, however it dies. The lock file stays.
 * Throws AppError `lock_held` when someone holds it (also in this process), `store_failed` for a path that cannot be had.
 */
export function lockStoreFile(path: string): StoreFile {
  const slash = path.lastIndexOf("/");
  if (!path.startsWith("/") || slash === path.length - 1) {
    throw new RangeError("a store's path is absolute and names a file");
  }
  const name = path.slice(slash + 1);
  let lock: Deno.FsFile | undefined;
  try {
    const folder = path.slice(0, slash) || "/";
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    tighten(folder, 0o700);
    lock = Deno.openSync(`${path}.lock`, { read: true, write: true, create: true, mode: 0o600 });
    tighten(`${path}.lock`, 0o600);
    if (!lock.tryLockSync(true)) {
      throw new AppError("lock_held", `${name} is open in another process; one writer at a time`, {
        params: { file: name },
      });
    }
    // SQLite would create it with the umask's mode; its -wal and -shm take the mode of the file.
    Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 }).close();
    tighten(path, 0o600);
    const held = lock;
    let isHeld = true;
    return {
      path,
      name,
      isUnclean: sizeOf(`${path}-wal`) > 0,
      hasJournal: sizeOf(`${path}-journal`) > 0,
      get bytes() {
        return sizeOf(path);
      },
      release() {
        if (!isHeld) return;
        isHeld = false;
        // Closing alone leaves the lock to a process that was forked meanwhile and has not run its own program yet.
        held.unlockSync();
        held.close();
      },
    };
  } catch (error) {
    lock?.close();
    throw toStoreError(error, name);
  }
}

/**
 * Copies the closed and checkpointed file to `<path>.v<version>.bak`, whole or not at all, in place of an older copy of that version.
 * Throws AppError `store_failed`. Only while no database is open on the file: closing any descriptor of a file drops all
 * POSIX locks that the process holds on it (https://www.sqlite.org/howtocorrupt.html §2.2).
 */
export function backUpStoreFile(file: StoreFile, version: number): void {
  const target = `${file.path}.v${version}.bak`;
  try {
    if (sizeOf(`${file.path}-wal`) > 0) {
      throw storeFailed(file.name, "busy", "another program holds it: close that program");
    }
    Deno.copyFileSync(file.path, `${target}.part`);
    {
      using copy = Deno.openSync(`${target}.part`, { read: true, write: true });
      copy.syncSync();
    }
    Deno.renameSync(`${target}.part`, target);
  } catch (error) {
    throw toStoreError(error, file.name);
  }
}

function tighten(path: string, mode: number): void {
  const held = Deno.statSync(path).mode;
  if (held !== null && (held & 0o077) !== 0) Deno.chmodSync(path, mode);
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
