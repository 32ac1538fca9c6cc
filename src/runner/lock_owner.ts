import { AppError, attempt } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { readLockHolder } from "#/runner/lock.ts";

/**
 * Sends a signal to the process that holds the lock of this workspace, and returns its id; for one that does not answer. The lock's file says
 * who it is, and is believed only when that process is ours and has that file open: an id is given to another process when its own one is gone.
 * Throws AppError `platform_unsupported` where that cannot be found out, `lock_held` when it is not so.
 */
export function signalLockHolder(runDir: string, signal: "SIGTERM" | "SIGKILL"): number {
  const holder = readLockHolder(runDir);
  if (Deno.build.os !== "linux") {
    const who = holder === null ? "the process" : `process ${holder.pid}`;
    throw new AppError(
      "platform_unsupported",
      `${who} does not answer, and only on Linux can it be told apart from others; end it yourself`,
    );
  }
  if (holder === null || !hasOpen(holder.pid, join(runDir, "runner.lock"))) {
    throw new AppError(
      "lock_held",
      "something holds this workspace's lock, and its file does not say who; end it yourself",
    );
  }
  Deno.kill(holder.pid, signal);
  return holder.pid;
}

/** True when the process is this user's and has this file open. */
function hasOpen(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`;
  if (attempt(() => Deno.statSync(`/proc/${pid}`))?.uid !== Deno.uid()) return false;
  const names = attempt(() => [...Deno.readDirSync(folder)]) ?? [];
  return names.some(({ name }) => attempt(() => Deno.readLinkSync(join(folder, name))) === path);
}
