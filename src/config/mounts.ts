import { join } from "#/lib/path.ts";
import { AppError } from "#/core/error.ts";
import { isWithin } from "#/config/read_file.ts";

/** A root that file tools and the shell may see. */
export interface Mount {
  readonly name: "shared" | "tmp" | "vault";
  readonly path: string;
  /** The folder that `path` must be in after all links are resolved; absent when a person chose the place. */
  readonly within?: string;
}

/** A place that no root may touch. */
export interface ForbiddenPlace {
  /** In words, for the message. */
  readonly name: string;
  readonly path: string;
  /** A folder inside it that is allowed: the user's own workspace among all workspaces. */
  readonly except?: string;
}

/** Real paths of everything that a root must stay clear of. */
export interface Surroundings {
  readonly configFolders: readonly string[];
  readonly workspaceRoot: string;
  /** The user's own folders. */
  readonly own: Readonly<Record<"root" | typeof OWN_NAMES[number], string>>;
  /** Deno's cache: whoever writes there writes our program. */
  readonly denoDir: string;
  /** The folder with mod.ts; absent when the program came from a URL. */
  readonly programDir?: string;
}

const OWN_NAMES = ["internal", "run", "audit", "ipc", "logs"] as const;

/** The places that no mount root may equal, contain or lie in (DESIGN, "Configuration is not equal in power"). Pure. */
export function toForbiddenPlaces(around: Surroundings): ForbiddenPlace[] {
  const { own } = around;
  const places: ForbiddenPlace[] = [
    ...around.configFolders.map((path) => ({ name: "a config folder", path, except: own.root })),
    { name: "another user's workspace", path: around.workspaceRoot, except: own.root },
    ...OWN_NAMES.map((name) => ({ name: `the user's ${name} folder`, path: own[name] })),
    { name: "Deno's cache", path: around.denoDir },
  ];
  // The default workspaces of a checkout lie in the program's tree.
  if (around.programDir !== undefined) places.push({ name: "the program", path: around.programDir, except: own.root });
  return places;
}

/**
 * Refuses a root that equals, contains or lies in a forbidden place or another root, or that a link took out of the folder it must
 * be in. Pure: all paths are real ones, so the caller resolves links first, and again at every start. Throws one AppError
 * `config_invalid` with a line for each conflict that names both sides.
 */
export function checkMounts(mounts: readonly Mount[], forbidden: readonly ForbiddenPlace[]): void {
  const conflicts: string[] = [];
  for (const [index, mount] of mounts.entries()) {
    const name = `mounts.${mount.name}`;
    if (mount.within !== undefined && !isWithin(mount.within, mount.path)) {
      conflicts.push(`${name}: ${mount.path} is not in ${mount.within}: a link leads out of the project`);
    }
    for (const place of forbidden) {
      const how = relate(mount.path, place.path);
      const allowed = how === "lies in" && place.except !== undefined && isWithin(place.except, mount.path);
      if (how !== undefined && !allowed) conflicts.push(`${name}: ${mount.path} ${how} ${place.name}, ${place.path}`);
    }
    for (const other of mounts.slice(index + 1)) {
      const how = relate(mount.path, other.path);
      if (how !== undefined) conflicts.push(`${name}: ${mount.path} ${how} mounts.${other.name}, ${other.path}`);
    }
  }
  if (conflicts.length > 0) throw new AppError("config_invalid", conflicts.join("\n"));
}

/**
 * Refuses a folder of the user's own that a link took elsewhere: the guest may write `internal`, so a cloned repository with a link
 * of this name would otherwise give it any folder. Pure: real paths, which `toRealPath` knows before the folders exist. `within` is
 * that of `ResolvedUser`. Throws one AppError `config_invalid` with a line for each.
 */
export function checkOwnFolders(own: Surroundings["own"], within: string | undefined): void {
  const conflicts: string[] = [];
  if (within !== undefined && !isWithin(within, own.root)) {
    conflicts.push(`${own.root} is not in ${within}: a link leads out of the project`);
  }
  for (const name of OWN_NAMES) {
    if (own[name] !== join(own.root, name)) {
      conflicts.push(`the user's ${name} folder is a link to ${own[name]}; it must be a folder in ${own.root}`);
    }
  }
  if (conflicts.length > 0) throw new AppError("config_invalid", conflicts.join("\n"));
}

function relate(path: string, other: string): "is" | "contains" | "lies in" | undefined {
  if (path === other) return "is";
  if (isWithin(path, other)) return "contains";
  return isWithin(other, path) ? "lies in" : undefined;
}
