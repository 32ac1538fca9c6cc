import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import type { Loaded } from "#/config/load.ts";
import { checkMounts, toForbiddenPlaces } from "#/config/mounts.ts";
import type { ResolvedUser, UserFolders } from "#/config/user.ts";
import type { Program } from "#/runner/process_plan.ts";

/**
 * Makes the user's folders (mode 0700) and refuses roots that touch what tools must never see. Returns the folders with links
 * resolved. Throws AppError `config_invalid`.
 */
export async function prepareWorkspace(
  user: ResolvedUser,
  loaded: Pick<Loaded, "config" | "configFolders">,
  around: { readonly program: Program; readonly denoDir: string },
): Promise<UserFolders> {
  for (const [name, path] of Object.entries(user.folders)) await makeFolder(name, path);
  const real = Object.fromEntries(
    await Promise.all(Object.entries(user.folders).map(async ([name, path]) => [name, await Deno.realPath(path)])),
  ) as unknown as UserFolders;
  const { program } = around;
  checkMounts(
    await Promise.all(user.mounts.map(async (mount) => ({ ...mount, path: await Deno.realPath(mount.path) }))),
    toForbiddenPlaces({
      configFolders: loaded.configFolders,
      workspaceRoot: await Deno.realPath(loaded.config.runner.workspace_root),
      own: real,
      denoDir: around.denoDir,
      ...(program.source === "file" ? { programDir: await Deno.realPath(new URL("../", program.srcUrl)) } : {}),
    }),
  );
  return real;
}

async function makeFolder(name: string, path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    if ((await Deno.stat(path)).isDirectory) return;
  } catch (cause) {
    throw new AppError("config_invalid", `the ${name} folder ${path} cannot be made: ${toReason(cause)}`, { cause });
  }
  throw new AppError("config_invalid", `the ${name} folder ${path} is no folder`);
}

function toReason(cause: unknown): string {
  if (cause instanceof Deno.errors.AlreadyExists || cause instanceof Deno.errors.NotADirectory) {
    return "a file is in its place";
  }
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  return cause instanceof Error ? cause.message : String(cause);
}

/** Deno's cache folder, as Deno finds it: DENO_DIR, else XDG_CACHE_HOME, else HOME (docs.deno.com, "deno dir"). Linux and macOS. */
export function findDenoDir(env: Readonly<Record<string, string>>, os: string = Deno.build.os): string {
  if (env.DENO_DIR) return env.DENO_DIR;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, "deno");
  return join(env.HOME ?? "/", os === "darwin" ? "Library/Caches/deno" : ".cache/deno");
}
