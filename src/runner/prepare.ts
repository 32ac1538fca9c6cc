import { join } from "#/lib/path.ts";
import { AppError, messageOf } from "#/core/error.ts";
import type { Loaded } from "#/config/load.ts";
import { checkMounts, checkOwnFolders, toForbiddenPlaces } from "#/config/mounts.ts";
import { toRealPath } from "#/config/read_file.ts";
import type { ResolvedUser, UserFolders } from "#/config/user.ts";
import { checkOwnFiles } from "#/runner/own_files.ts";
import type { Environment, Program } from "#/runner/process_plan.ts";

/** What the folders of a user must stay clear of. */
interface Around {
  readonly program: Program;
  readonly denoDir: string;
}

/**
 * Makes the user's folders (mode 0700) and refuses those that a link took elsewhere, roots that touch what tools must never see, and
 * links and pipes in the folders that are ours.
 * Returns the folders with links resolved. Checked before anything is made, because making a folder follows links, and again
 * after it. Throws AppError `config_invalid`.
 */
export function prepareWorkspace(
  user: ResolvedUser,
  loaded: Pick<Loaded, "config" | "configFolders">,
  around: Around,
): UserFolders {
  checkFolders(user, loaded, around);
  for (const [name, path] of Object.entries(user.folders)) makeFolder(name, path);
  const folders = checkFolders(user, loaded, around);
  checkOwnFiles(folders);
  return folders;
}

/** The check of `prepareWorkspace` for who only looks: makes nothing and changes nothing, so folders may be missing. Throws AppError `config_invalid`. */
export function checkFolders(
  user: ResolvedUser,
  { config, configFolders }: Pick<Loaded, "config" | "configFolders">,
  { program, denoDir }: Around,
): UserFolders {
  const real = Object.fromEntries(
    Object.entries(user.folders).map(([name, path]) => [name, toReal(name, path)]),
  ) as unknown as UserFolders;
  checkOwnFolders(real, user.within);
  checkMounts(
    user.mounts.map((mount) => ({ ...mount, path: real[mount.name] })),
    toForbiddenPlaces({
      configFolders,
      workspaceRoot: toReal("workspace_root", config.runner.workspace_root),
      own: real,
      denoDir: toReal("DENO_DIR", denoDir),
      ...(program.source === "file" ? { programDir: Deno.realPathSync(new URL("../", program.srcUrl)) } : {}),
    }),
  );
  return real;
}

function toReal(name: string, path: string): string {
  try {
    return toRealPath(path);
  } catch (cause) {
    throw new AppError("config_invalid", `the ${name} folder ${path} cannot be used: ${toReason(cause)}`, { cause });
  }
}

function makeFolder(name: string, path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    if (Deno.statSync(path).isDirectory) return;
  } catch (cause) {
    throw new AppError("config_invalid", `the ${name} folder ${path} cannot be made: ${toReason(cause)}`, { cause });
  }
  throw new AppError("config_invalid", `the ${name} folder ${path} is no folder`);
}

function toReason(cause: unknown): string {
  if (cause instanceof Deno.errors.AlreadyExists || cause instanceof Deno.errors.NotADirectory) {
    return "a file is in its place";
  }
  if (cause instanceof Deno.errors.NotFound) return "a link leads to nowhere";
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(cause);
}

/** Deno's cache folder, as Deno finds it: DENO_DIR, else XDG_CACHE_HOME, else HOME, else the home that the system knows (docs.deno.com, "deno dir"). Linux and macOS. */
export async function findDenoDir(env: Environment, os: string = Deno.build.os): Promise<string> {
  if (env.DENO_DIR) return env.DENO_DIR;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, "deno");
  const home = env.HOME ? env.HOME : (await import("node:os")).homedir();
  return join(home, os === "darwin" ? "Library/Caches/deno" : ".cache/deno");
}
