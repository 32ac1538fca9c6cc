import { AppError } from "#/core/error.ts";
import { join, resolve } from "#/lib/path.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { runLogCopy, toCopiedText, toStamp } from "#/cli/log_copy.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { toCount } from "#/cli/wording.ts";
import { requireLocalLog } from "#/cli/read_log.ts";

/**
 * Puts a backup in the place of the user's event log, while no gateway runs; the replaced log is kept beside it. A backup that is damaged, cut
 * off, newer or another program's changes nothing. Exit 0. Throws AppError `usage`, `lock_held`, `store_*`.
 */
export async function runRestore(file: string, options: JsonOptions): Promise<number> {
  const program = await openProgram();
  const place = await findPlace(options);
  requireLocalLog(
    place.loaded,
    (why) => new AppError("usage", `nothing is restored here: ${why}; restore it by that service`),
  );
  const from = toSource(file);
  const folders = prepareWorkspace(place.user, place.loaded, place);
  if (from === join(folders.internal, "oxydra.db")) throw new AppError("usage", `${from} is the event log itself`);
  const lock = acquireRunnerLock(folders.run, Date.now());
  if (lock === null) {
    throw new AppError("lock_held", "the gateway of this workspace runs: end it (close its clients), then restore");
  }
  try {
    const copy = { what: "restore", from, stamp: toStamp(Date.now()) } as const;
    const restored = await runLogCopy({ program, env: place.env, internalDir: folders.internal, copy });
    if (options.json) console.log(toPrintableJson({ from, ...restored }, 2));
    else {
      console.log(toPrintable(`restored from ${from}: ${toCopiedText(restored)}`));
      if ((restored.turnsEnded ?? 0) > 0) {
        console.log(
          `${toCount(restored.turnsEnded!, "turn")} that ran when it was made ended with it, and will not go on`,
        );
      }
      if (restored.replaced !== undefined) console.log(toPrintable(`what was there is kept at ${restored.replaced}`));
    }
    return EXIT.done;
  } finally {
    lock.release();
  }
}

function toSource(file: string): string {
  const path = resolve(Deno.cwd(), file);
  let real: string;
  try {
    real = Deno.realPathSync(path);
  } catch (cause) {
    throw new AppError("usage", `there is no ${path}`, { cause });
  }
  if (!Deno.lstatSync(real).isFile) throw new AppError("usage", `${path} is no file`);
  if (sizeOf(`${real}-wal`) > 0 || sizeOf(`${real}-journal`) > 0) {
    throw new AppError("usage", `${path} is in use, or was not closed: make a backup of it with oxydra backup`);
  }
  return real;
}

function sizeOf(path: string): number {
  try {
    return Deno.lstatSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
