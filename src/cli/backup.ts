import { AppError, messageOf } from "#/core/error.ts";
import { isWithin, toRealPath } from "#/config/read_file.ts";
import type { UserFolders } from "#/config/user.ts";
import { basename, dirname, join, resolve } from "#/lib/path.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { checkFolders } from "#/runner/prepare.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { type LogCopied, runLogCopy, toCopiedText, toStamp } from "#/cli/log_copy.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { isThere, requireLocalLog } from "#/cli/read_log.ts";

/** Options of `backup`. */
export interface BackupOptions extends JsonOptions {
  /** Writes over a file that is there. */
  readonly force?: boolean;
}

/**
 * Copies the user's event log, blobs and all, into one file of mode 0600, while a gateway runs or not; it counts, and gets its name, when it
 * was verified. Tokens and secrets are not in it. Exit 0. Throws AppError `usage` for a place where no backup should be, `store_*`.
 */
export async function runBackup(file: string | undefined, options: BackupOptions): Promise<number> {
  const program = await openProgram();
  const place = await findPlace(options);
  requireLocalLog(place.loaded, (why) => {
    return new AppError("usage", `no backup is made here: ${why}; that service keeps copies of it`);
  });
  const folders = checkFolders(place.user, place.loaded, place);
  const target = toTarget(file ?? `oxydra-${place.user.id}-${toStamp(Date.now())}.db`, folders);
  if (isThere(target) && !options.force) {
    throw new AppError("usage", `${target} is there already; --force writes over it`);
  }
  // A folder of its own beside the target: what the process may write, and on the same disk, so that a rename is one step.
  const scratchDir = makeScratch(target);
  let copied: LogCopied;
  try {
    copied = await runLogCopy({
      program,
      env: place.env,
      internalDir: folders.internal,
      copy: { what: "backup", scratchDir },
    });
    moveTo(join(scratchDir, "backup.db"), target, options.force ?? false);
  } finally {
    Deno.removeSync(scratchDir, { recursive: true });
  }
  if (options.json) console.log(toPrintableJson({ path: target, ...copied }, 2));
  else console.log(toPrintable(`${target}: ${toCopiedText(copied)}`));
  return EXIT.done;
}

function toTarget(file: string, folders: UserFolders): string {
  const path = resolve(Deno.cwd(), file);
  let parent: string;
  try {
    parent = toRealPath(dirname(path));
  } catch (cause) {
    throw new AppError("usage", `there is no folder ${dirname(path)}`, { cause });
  }
  // Every conversation is in it: not where a guest or an agent's tools can read or change it.
  const taken = Object.values(folders).find((folder) => isWithin(folder, parent));
  if (taken !== undefined) {
    throw new AppError("usage", `${path} is in the workspace, where an agent could reach it: name a file elsewhere`);
  }
  return join(parent, basename(path));
}

function makeScratch(target: string): string {
  try {
    const dir = Deno.makeTempDirSync({ dir: dirname(target), prefix: ".oxydra-backup-" });
    Deno.chmodSync(dir, 0o700);
    return Deno.realPathSync(dir);
  } catch (cause) {
    throw new AppError("usage", `no backup can be written to ${dirname(target)}: ${messageOf(cause)}`, { cause });
  }
}

/** The one name appears whole or not at all. A link refuses a name that is taken; a rename would not. */
function moveTo(made: string, target: string, isForced: boolean): void {
  try {
    if (isForced) Deno.renameSync(made, target);
    else Deno.linkSync(made, target);
  } catch (cause) {
    throw new AppError("usage", `the backup cannot be put at ${target}: ${messageOf(cause)}`, { cause });
  }
}
