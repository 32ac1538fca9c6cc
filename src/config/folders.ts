import { attempt } from "#/core/error.ts";
import { basename, dirname, join, resolve } from "#/lib/path.ts";
import type { Problem } from "#/config/problem.ts";
import { toShownPath } from "#/config/read_file.ts";
import type { LayerName } from "#/config/source.ts";

/** A folder that config files are read from. */
export interface ConfigFolder {
  readonly layer: Extract<LayerName, "system" | "user" | "project">;
  /** Absolute; links not resolved. */
  readonly path: string;
  /** Links resolved; absent when the folder is not there. */
  readonly realPath?: string;
}

/** Where config files may lie, weakest first, and whose they are. */
export interface ConfigFolders {
  readonly folders: readonly ConfigFolder[];
  /** `./.oxydra` or the folder of `--config`, absolute. */
  readonly project: string;
  readonly problems: readonly Problem[];
}

/**
 * `/etc/oxydra`, `~/.config/oxydra`, `~/.oxydra` (the reference's crates read it, its guidebook does not say so), then the
 * project's. `--config` replaces `./.oxydra` and is no more trusted: naming a folder is not reading it. A folder that is met
 * twice counts once, at its named place; only `~/.oxydra` as the current project counts as project, the weaker of the two.
 */
export function findFolders(
  { cwd, home, configDir, systemDir }: {
    readonly cwd: string;
    readonly home?: string | undefined;
    readonly configDir?: string | undefined;
    readonly systemDir: string;
  },
): ConfigFolders {
  const problems: Problem[] = [];
  const project = configDir === undefined ? join(cwd, ".oxydra") : toFolder(configDir, cwd, problems);
  const candidates: ConfigFolder[] = [{ layer: "system", path: systemDir }];
  if (home !== undefined) candidates.push({ layer: "user", path: join(home, ".config", "oxydra") });
  const homeFolder = home === undefined ? undefined : join(home, ".oxydra");
  const projectReal = toReal(project);
  if (homeFolder !== undefined && (toReal(homeFolder) ?? homeFolder) !== (projectReal ?? project)) {
    candidates.push({ layer: "user", path: homeFolder });
  }
  const folders: ConfigFolder[] = [];
  for (const folder of [...candidates, { layer: "project" as const, path: project }]) {
    const realPath = toReal(folder.path);
    if (realPath === undefined) folders.push(folder);
    else if (!folders.some((other) => other.realPath === realPath)) folders.push({ ...folder, realPath });
  }
  return { folders, project, problems };
}

/** The folder that a project's files must stay in: the one around `.oxydra`, or the folder of `--config` itself. */
export function toProjectRoot(project: string): string {
  return basename(project) === ".oxydra" ? dirname(project) : project;
}

function toFolder(configDir: string, cwd: string, problems: Problem[]): string {
  const path = resolve(cwd, configDir);
  const info = attempt(() => Deno.statSync(path));
  if (info?.isDirectory) return path;
  // The reference's --config names runner.toml itself.
  if (info?.isFile && basename(path) === "runner.toml") return dirname(path);
  const sentence = info === undefined
    ? "there is no such folder for --config"
    : "--config wants a folder, or its runner.toml";
  problems.push({ code: "config_invalid", place: toShownPath(path, cwd), key: "", sentence });
  return path;
}

/** What cannot be looked at counts as not there; reading a file in it says why. */
function toReal(path: string): string | undefined {
  return attempt(() => Deno.realPathSync(path));
}
