import { dirname, join } from "#/lib/path.ts";
import type { JoinedLayers } from "#/config/joined.ts";
import type { LayerReader } from "#/config/layers.ts";
import { resolvePath, staysWithin } from "#/config/widening.ts";
import { valueAt } from "#/config/tree.ts";

/** Where relative paths start. */
export interface PlaceOptions {
  readonly cwd: string;
  readonly home: string | undefined;
  /** `./.oxydra` or the folder of `--config`. */
  readonly project: string;
  /** Real path of the folder that the project's files must stay in. */
  readonly root: string;
  readonly user: string;
}

const MOUNTS = ["shared", "tmp", "vault"] as const;

/** Adds the file that runner.toml names for the user. A relative path starts at the folder of that runner.toml (reference, crates/runner). */
export async function addUserFile(joined: JoinedLayers, reader: LayerReader, options: PlaceOptions): Promise<void> {
  const path = ["runner", "users", options.user, "config_path"];
  const written = valueAt(joined.tree, path);
  const naming = joined.sourceOf(path);
  if (typeof written !== "string" || naming === undefined) return;
  const file = resolvePath(written, naming.file === undefined ? options.cwd : dirname(naming.file), options.home);
  const within = naming.trusted ? undefined : options.root;
  // Outside its folder it is not read before somebody trusts the file that names it; the widening check says so.
  if (within !== undefined && !staysWithin(within, file)) return;
  const sources = await reader.readUser(file, naming.layer, within);
  if (sources === undefined) reader.problems.push(joined.problemAt(path, `there is no such file: ${file}`));
  for (const source of sources ?? []) joined.add(source);
}

/**
 * Makes paths absolute and settles what depends on whether there is a runner.toml: without one, workspaces are in the project's
 * folder and the tier is `process`; with one that does not say, the reference's `workspaces` beside it and `micro_vm`. True when
 * the place of the workspaces is the project's to say, not a person's.
 */
export function placeWorkspaces(joined: JoinedLayers, options: PlaceOptions): { ofProject: boolean; root: string } {
  const { cwd, home, project, user } = options;
  const runner = joined.sources.findLast(({ at, file }) => at[0] === "runner" && file !== undefined);
  const written = valueAt(joined.tree, ["runner", "workspace_root"]);
  const source = typeof written === "string" ? joined.sourceOf(["runner", "workspace_root"]) : runner;
  const base = source === undefined ? project : source.file === undefined ? cwd : dirname(source.file);
  const root = resolvePath(typeof written === "string" ? written : "workspaces", base, home);
  joined.set(["runner", "workspace_root"], root);
  if (runner !== undefined && valueAt(joined.tree, ["runner", "default_tier"]) === undefined) {
    joined.set(["runner", "default_tier"], "micro_vm");
  }
  for (const name of MOUNTS) {
    const mount = valueAt(joined.tree, ["user", "mounts", name]);
    if (typeof mount === "string") joined.set(["user", "mounts", name], resolvePath(mount, join(root, user), home));
  }
  const chosen = typeof written === "string" && source?.trusted === true && !staysWithin(options.root, root);
  return { ofProject: (source === undefined || source.layer === "project") && !chosen, root };
}

/** Mounts whose place a person chose: in their own file, or in one that they trusted. */
export function findChosenMounts(joined: JoinedLayers): ("shared" | "tmp" | "vault")[] {
  return MOUNTS.filter((name) => {
    const path = ["user", "mounts", name];
    return valueAt(joined.tree, path) !== undefined && joined.sourceOf(path)?.trusted === true;
  });
}
