import { toOwnSocket } from "#/runner/own_socket.ts";
import { ifReached, readStartedWith } from "#/cli/control_client.ts";
import type { RestartOptions, StartOptions } from "#/cli/options.ts";
import { findPlace } from "#/cli/place.ts";
import { runStart } from "#/cli/start.ts";
import { findUser } from "#/cli/status.ts";
import { stopRunner, toWanted } from "#/cli/stop.ts";

/**
 * Stops what runs for a user and starts it again: with the options given now, or, without any, as it was started. A configuration that nobody
 * could start with stops nothing. Returns the exit code of the start. Throws as `runStop` and `runStart`.
 */
export async function runRestart(options: RestartOptions, version: string): Promise<number> {
  const { timeout, now, ...given } = options;
  const wanted = toWanted({ ...(timeout === undefined ? {} : { timeout }), ...(now === undefined ? {} : { now }) });
  const place = await findUser(options);
  const before = await ifReached(readStartedWith(toOwnSocket(place.folders)));
  const start = toStart(given, before ?? null);
  await findPlace(start);
  if (!await stopRunner(place, wanted)) console.error(`oxydra did not run for ${place.user.id}; it is started`);
  return await runStart(start, version);
}

/** Options of the start to come. Pure. */
export function toStart(
  given: StartOptions,
  before: { readonly detached: boolean; readonly options: Readonly<Record<string, unknown>> } | null,
): StartOptions {
  if (before === null) return given;
  const { config: _, user: __, detach, ...others } = given;
  const detached = detach ?? before.detached;
  const options = Object.keys(others).length === 0 ? { ...before.options, ...given } : given;
  return { ...options, detach: detached };
}
