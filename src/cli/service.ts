import { AppError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { toOwnCommand } from "#/runner/plan_daemon.ts";
import { toLaunchdPlist, toSystemdUnit } from "#/runner/service_unit.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { ServiceOptions } from "#/cli/options.ts";
import { findPlace, openProgram } from "#/cli/place.ts";

/** Variables that decide where things are found, and are no secrets. */
const PASSED_NAMES: readonly string[] = ["DENO_DIR", "XDG_CACHE_HOME", "DENO_CERT", "DENO_TLS_CA_STORE", "TZ"];

/**
 * Prints what has systemd or launchd start this gateway: this Deno, this program (`mainUrl`) and this folder, by their absolute paths. Makes and changes
 * nothing. Throws AppError `usage`, and what `findPlace` throws: a service that cannot start is not printed.
 */
export async function runService(options: ServiceOptions, mainUrl: string = Deno.mainModule): Promise<number> {
  const { user, env } = await findPlace(options);
  const words = ["start", "--user", user.id];
  for (const [flag, path] of [["--config", options.config], ["--env-file", options.envFile]] as const) {
    if (path !== undefined) words.push(flag, path.startsWith("/") ? path : join(Deno.cwd(), path));
  }
  if (options.tier !== undefined) words.push("--tier", options.tier);
  const input = {
    command: [...toOwnCommand(await openProgram(), mainUrl), ...words],
    folder: Deno.cwd(),
    user: user.id,
    env: Object.fromEntries(PASSED_NAMES.flatMap((name) => env[name] ? [[name, env[name]]] : [])),
    ...(options.system ? { system: toOwner(env.HOME) } : {}),
  };
  const isMac = options.for === undefined ? Deno.build.os === "darwin" : options.for === "launchd";
  console.log((isMac ? toLaunchdPlist(input) : toSystemdUnit(input)).trimEnd());
  return EXIT.done;
}

function toOwner(home: string | undefined): { uid: number; gid: number; home: string } {
  const [uid, gid] = [Deno.uid(), Deno.gid()];
  if (uid === null || gid === null || !home) throw new AppError("usage", "--system needs a user with a home (HOME)");
  return { uid, gid, home };
}
