import type { UserFolders } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { toPrintable } from "#/lib/printable.ts";
import { isRunnerLockHeld, readLockHolder } from "#/runner/lock.ts";
import { signalLockHolder } from "#/runner/lock_owner.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { ifReached, readHealth, stopUser } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { StopOptions } from "#/cli/options.ts";
import { findUser } from "#/cli/status.ts";
import { toCount } from "#/cli/wording.ts";

/** Whose runner is to stop, and where. */
export interface StopPlace {
  readonly user: { readonly id: string };
  readonly folders: UserFolders;
}

/**
 * Stops what runs for a user, in good order, and waits until it is gone. Exit 0 then, 3 when nothing ran, 1 when it does not end. Throws AppError
 * `usage`, `config_invalid`.
 */
export async function runStop(options: StopOptions): Promise<number> {
  const wanted = toWanted(options);
  const place = await findUser(options);
  if (await stopRunner(place, wanted)) return EXIT.done;
  console.error(`oxydra does not run for ${place.user.id}`);
  return EXIT.notRunning;
}

/** How long turns that run have, in ms, as the flags say; undefined is the runner's own time. Pure. Throws AppError `usage`. */
export function toWanted({ timeout, now }: Pick<StopOptions, "timeout" | "now">): { drainMs?: number; now: boolean } {
  if (now) return { drainMs: 0, now };
  if (timeout === undefined) return { now: false };
  const drainMs = Number(timeout) * 1_000;
  if (/^\d{1,7}$/.test(timeout) && drainMs <= LIMITS.stopDrainMsMax) return { drainMs, now: false };
  throw new AppError("usage", `--timeout ${toPrintable(timeout)}: seconds from 0 to ${LIMITS.stopDrainMsMax / 1_000}`);
}

/** Stops a runner and says so on stderr. Resolves when it is gone, with false when there was none. Throws AppError `guest_failed` when it stays. */
export async function stopRunner(
  { user, folders }: StopPlace,
  { drainMs = LIMITS.drainMs, now }: { readonly drainMs?: number; readonly now: boolean },
): Promise<boolean> {
  const socket = toOwnSocket(folders);
  const startedAt = performance.now();
  // Whoever is told to stop now may have closed its socket before it is asked again.
  const before = await ifReached(readHealth(socket));
  if (!await ask(socket, { user, folders }, { drainMs, now })) return false;
  const pid = readLockHolder(folders.run)?.pid;
  const left = await waitUntilGone(folders, socket, startedAt + drainMs + LIMITS.stopEndMs, before?.active_turns);
  if (left === undefined && now) signalLockHolder(folders.run, "SIGKILL");
  if (
    left === undefined &&
    (!now || await waitUntilGone(folders, socket, performance.now() + LIMITS.stopEndMs) === undefined)
  ) {
    const who = pid === undefined ? "it" : `process ${pid}`;
    throw new AppError("guest_failed", `${who} does not end; \`oxydra stop --now\` ends it in any case`);
  }
  const tookMs = performance.now() - startedAt;
  const seconds = (tookMs / 1_000).toFixed(1);
  // Before that time, the last turn had ended, or somebody else was in a hurry.
  const rest = left && tookMs >= drainMs
    ? `; ${toCount(left, "turn")} did not end in time and will go on at the next start`
    : "";
  console.error(`oxydra has stopped for ${user.id} (${seconds} s)${rest}`);
  return true;
}

/** Tells it to stop, by its socket, or by a signal when it does not answer there. False when nothing has the workspace. */
async function ask(
  socket: string,
  { user, folders }: StopPlace,
  { drainMs, now }: { readonly drainMs: number; readonly now: boolean },
): Promise<boolean> {
  for (;;) {
    const status = await ifReached(stopUser(socket, user.id, drainMs));
    if (status !== undefined) {
      const time = drainMs === 0 || status.message.includes("no turn") ? "" : `; they have ${drainMs / 1_000} s`;
      console.error(`oxydra: ${toPrintable(status.message)}${time}`);
      return true;
    }
    if (!isRunnerLockHeld(folders.run)) return false;
    const holder = readLockHolder(folders.run);
    // Its socket opens when it has come up.
    const isStarting = holder === null || Date.now() - holder.startedAt < LIMITS.guestStartMs;
    if (now || !isStarting) {
      const pid = signalLockHolder(folders.run, "SIGTERM");
      console.error(`oxydra: process ${pid} does not answer at its socket, so it is sent SIGTERM`);
      return true;
    }
    await delay(LIMITS.daemonPollMs, new AbortController().signal);
  }
}

/** How many turns were at work when it was last asked, or undefined when it is still there at `end`. */
async function waitUntilGone(
  folders: UserFolders,
  socket: string,
  end: number,
  before = 0,
): Promise<number | undefined> {
  let turns = before;
  while (isRunnerLockHeld(folders.run)) {
    if (performance.now() > end) return undefined;
    const health = await ifReached(readHealth(socket));
    if (health !== undefined) turns = health.active_turns;
    await delay(LIMITS.daemonPollMs, new AbortController().signal);
  }
  return turns;
}
