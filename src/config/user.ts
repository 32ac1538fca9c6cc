import { join } from "#/lib/path.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { Loaded } from "#/config/load.ts";
import type { Mount } from "#/config/mounts.ts";

/** Folders of one user, host paths, mounts applied. Nothing is created or resolved. */
export interface UserFolders {
  readonly root: string;
  readonly shared: string;
  readonly tmp: string;
  readonly vault: string;
  readonly ipc: string;
  readonly logs: string;
  readonly internal: string;
  readonly run: string;
  readonly audit: string;
}

/** The chosen user: where their things are, and in which tier they run. */
export interface ResolvedUser {
  readonly id: string;
  readonly tier: Tier;
  readonly folders: UserFolders;
  /** Real path of the folder that the workspace must be in; absent when a person chose its place. For `checkOwnFolders`. */
  readonly within?: string;
  /** The roots of file tools, to be checked by `checkMounts` once they exist. */
  readonly mounts: readonly Mount[];
}

/** Folders, tier and roots of the user that a configuration was loaded for. Pure. */
export function resolveUser({ config, user, workspacesWithin, chosenMounts }: Loaded): ResolvedUser {
  const plain = toFolders(join(config.runner.workspace_root, user));
  const own = config.user.mounts;
  const { shared = plain.shared, tmp = plain.tmp, vault = plain.vault } = own;
  const folders: UserFolders = { ...plain, shared, tmp, vault };
  const mounts = (["shared", "tmp", "vault"] as const).map((name): Mount => {
    const chosen = chosenMounts.includes(name) || workspacesWithin === undefined;
    return { name, path: folders[name], ...(chosen ? {} : { within: workspacesWithin }) };
  });
  return {
    id: user,
    tier: toTier(config),
    folders,
    ...(workspacesWithin === undefined ? {} : { within: workspacesWithin }),
    mounts,
  };
}

/** In which tier the chosen user runs. Pure. */
export function toTier({ user, runner }: Loaded["config"]): Tier {
  return user.behavior.sandbox_tier ?? runner.default_tier;
}

/** The folders of a user without mounts, below the user's own. Pure. */
export function toFolders(root: string): UserFolders {
  return {
    root,
    shared: join(root, "shared"),
    tmp: join(root, "tmp"),
    vault: join(root, "vault"),
    ipc: join(root, "ipc"),
    logs: join(root, "logs"),
    internal: join(root, "internal"),
    run: join(root, "run"),
    audit: join(root, "audit"),
  };
}
