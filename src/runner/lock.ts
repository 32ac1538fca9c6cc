import { dirname, join } from "#/lib/path.ts";
import { AppError, attempt, messageOf } from "#/core/error.ts";

/** The one runner of a user's workspace, for as long as it is held. */
export interface RunnerLock {
  /** A second call does nothing. */
  release(): void;
}

/** Who holds the lock, as it wrote itself down. */
export interface LockHolder {
  readonly pid: number;
  /** Integer ms UTC. */
  readonly startedAt: number;
}

/**
 * Takes the lock of this workspace, or returns null when another process has it. The kernel drops it with the process
 * (flock(2)), so there is no stale lock and no pid to guess about; what the file says is for people.
 * `run/` belongs to the runner alone: no guest flag and no tool root names it. Throws AppError `config_invalid` when the disk refuses.
 */
export function acquireRunnerLock(runDir: string, now: number): RunnerLock | null {
  const file = openLock(join(runDir, "runner.lock"));
  try {
    if (!file.tryLockSync(true)) {
      file.close();
      return null;
    }
    file.truncateSync(0);
    const holder: LockHolder = { pid: Deno.pid, startedAt: now };
    file.writeSync(new TextEncoder().encode(JSON.stringify(holder)));
  } catch (error) {
    file.close();
    throw toRefused(join(runDir, "runner.lock"), error);
  }
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      // Closing alone leaves the lock to a child that was forked meanwhile and has not run its own program yet.
      file.unlockSync();
      file.close();
    },
  };
}

function openLock(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw toRefused(path, error);
  }
}

function toRefused(path: string, cause: unknown, what: "read" | "written" = "written"): AppError {
  return new AppError("config_invalid", `${path} cannot be ${what}: ${messageOf(cause)}`, { cause });
}

/**
 * True while a process has the lock of this workspace. Makes and changes nothing; whoever wants the lock in this very moment has to try
 * again, as every start does. Throws AppError `config_invalid` for a lock file that cannot be read.
 */
export function isRunnerLockHeld(runDir: string): boolean {
  const path = join(runDir, "runner.lock");
  try {
    // A pipe in its place would hold this process for ever.
    if (!Deno.lstatSync(path).isFile) return false;
    using file = Deno.openSync(path);
    const isFree = file.tryLockSync(false);
    if (isFree) file.unlockSync();
    return !isFree;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw toRefused(path, error, "read");
  }
}

/** Who wrote itself into the lock file last, or null. */
export function readLockHolder(runDir: string): LockHolder | null {
  const holder = attempt(() => JSON.parse(Deno.readTextFileSync(join(runDir, "runner.lock"))));
  return Number.isInteger(holder?.pid) && Number.isInteger(holder?.startedAt) ? holder : null;
}

/** Writes a file that is there whole or not at all, mode 0600. For folders that nobody else writes. Throws AppError `config_invalid` when the disk refuses. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.oxydra-tmp-${crypto.randomUUID()}`);
  try {
    Deno.writeTextFileSync(temporary, text, { createNew: true, mode: 0o600 });
    Deno.renameSync(temporary, path);
  } catch (error) {
    // It may never have been made; the first error is the one that counts.
    attempt(() => Deno.removeSync(temporary));
    throw toRefused(path, error);
  }
}
