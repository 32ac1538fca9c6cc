import { dirname, join } from "node:path";

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
 * `run/` belongs to the runner alone: no guest flag and no tool root names it.
 */
export function acquireRunnerLock(runDir: string, now: number): RunnerLock | null {
  const file = Deno.openSync(join(runDir, "runner.lock"), { read: true, write: true, create: true, mode: 0o600 });
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
    throw error;
  }
  let held = true;
  return {
    release: () => {
      if (held) file.close();
      held = false;
    },
  };
}

/** Who wrote itself into the lock file last, or null. */
export function readLockHolder(runDir: string): LockHolder | null {
  try {
    const holder = JSON.parse(Deno.readTextFileSync(join(runDir, "runner.lock")));
    return Number.isInteger(holder?.pid) && Number.isInteger(holder?.startedAt) ? holder : null;
  } catch {
    return null;
  }
}

/** Writes a file that is there whole or not at all, mode 0600. For folders that only the runner writes. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.oxydra-tmp-${crypto.randomUUID()}`);
  try {
    Deno.writeTextFileSync(temporary, text, { createNew: true, mode: 0o600 });
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // It was never made; the first error is the one that counts.
    }
    throw error;
  }
}
