import { join } from "#/lib/path.ts";
import { AppError, attempt } from "#/core/error.ts";
import { DEFAULT_REGISTRY } from "#/provider/config.ts";
import { chooseUser } from "#/config/choose_user.ts";
import { readEnvironment } from "#/config/env.ts";
import { findFolders, toProjectRoot } from "#/config/folders.ts";
import { JoinedLayers } from "#/config/joined.ts";
import { LayerReader } from "#/config/layers.ts";
import { addUserFile, findChosenMounts, placeWorkspaces } from "#/config/place.ts";
import { type Problem, toConfigError } from "#/config/problem.ts";
import { toRealPath } from "#/config/read_file.ts";
import { AgentFile, Config } from "#/config/schema.ts";
import type { Origin } from "#/config/source.ts";
import { isTable, mergeTree, nest, newTree, type Tree, valueAt } from "#/config/tree.ts";
import { findSteering, findWidening, type Steered } from "#/config/widening.ts";

/** Where to look, and what the person said on the command line. */
export interface LoadOptions {
  /** Absolute. */
  readonly cwd: string;
  /** Absolute; without it there is no layer of the person's own. */
  readonly home?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** `--config`: a folder that takes the place of `./.oxydra`. */
  readonly configDir?: string | undefined;
  /** `--user`. */
  readonly user?: string | undefined;
  /** Flags as keys of Config, e.g. `{ selection: { provider, model } }`. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Stands for `/etc/oxydra`. */
  readonly systemDir?: string;
}

/** Folders, absolute. */
export interface Places {
  readonly cwd: string;
  readonly home?: string | undefined;
  /** `./.oxydra`, or the folder of `--config`. */
  readonly project: string;
  /** Real path that the project's files must stay in. */
  readonly root: string;
}

/** A configuration in force. */
export interface Loaded {
  /** Frozen; paths in it are absolute. */
  readonly config: Config;
  /** The chosen user. */
  readonly user: string;
  /** Who set each key, by its path in Config. What is absent is a default. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Real paths of the config folders that are there. */
  readonly configFolders: readonly string[];
  /** Where this was loaded from; see `loadCatalog`. */
  readonly places: Places;
  /** Real path of the folder that roots must stay in; absent when a person chose the place of the workspaces. */
  readonly workspacesWithin?: string;
  /** Mounts whose place a person chose. */
  readonly chosenMounts: readonly ("shared" | "tmp" | "vault")[];
  /** What an untrusted project decides about providers; see `credentialFor`. */
  readonly steered: readonly Steered[];
}

/**
 * Joins defaults, `/etc/oxydra`, the person's folders, the project's, `OXYDRA__…` and flags, checks everything and says every
 * problem at once. Reads files, changes none. Throws one AppError, `config_invalid` or `config_untrusted`, with a line for each
 * problem; both mean exit 2, and a system that runs keeps the configuration it has.
 */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  const { cwd, home } = options;
  const found = findFolders({ systemDir: "/etc/oxydra", ...options });
  const reader = new LayerReader(cwd, home);
  reader.problems.push(...found.problems);
  const joined = new JoinedLayers(nest(DEFAULT_REGISTRY, ["providers", "registry"]));
  for (const folder of found.folders) {
    if (folder.layer === "project") joined.markBelow();
    for (const source of await reader.readFolder(folder)) joined.add(source);
  }
  const root = toRealRoot(found.project);
  const user = pickUser(options.user, joined.tree, reader.problems);
  const place = { cwd, home, project: found.project, root, user };
  await addUserFile(joined, reader, place);
  const environment = readEnvironment(AgentFile, options.env, joined.tree);
  for (const source of environment.sources) joined.add(source);
  joined.add(reader.check(toFlags(options.overrides ?? {}), Config));
  const workspaces = placeWorkspaces(joined, place);

  const { config, problems } = joined.check([...reader.wrong, ...environment.wrong]);
  const context = { below: joined.below, root, workspace: join(workspaces.root, user), home };
  const widening = joined.sources.flatMap((source) => findWidening(source, context));
  const all = [...reader.problems, ...environment.problems, ...problems, ...widening];
  if (all.length > 0) throw toConfigError(sort(all));
  return {
    config: freeze(config),
    user,
    origins: joined.origins,
    places: { cwd, home, project: found.project, root },
    configFolders: found.folders.flatMap(({ realPath }) => realPath ?? []),
    ...(workspaces.ofProject ? { workspacesWithin: root } : {}),
    chosenMounts: findChosenMounts(joined),
    steered: findSteering(joined),
  };
}

/** A folder that cannot be resolved stays as it is: then nothing real lies in it. */
function toRealRoot(project: string): string {
  const root = toProjectRoot(project);
  return attempt(() => toRealPath(root)) ?? root;
}

/** The chosen user; a bad choice joins the report, and `default` stands in so that the rest is checked too. */
function pickUser(asked: string | undefined, tree: Tree, problems: Problem[]): string {
  const users = valueAt(tree, ["runner", "users"]);
  try {
    return chooseUser(asked, isTable(users) ? Object.keys(users) : []);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    problems.push({ code: "config_invalid", place: "command line", key: "", sentence: error.message });
    return "default";
  }
}

function toFlags(overrides: Readonly<Record<string, unknown>>) {
  const raw = mergeTree(newTree(), overrides);
  return { layer: "flag", place: "command line", at: [], profile: [], lines: new Map(), raw, trusted: true } as const;
}

/** By place in the order of their first problem, then by line. */
function sort(problems: readonly Problem[]): Problem[] {
  const places = [...new Set(problems.map(({ place }) => place))];
  return problems.toSorted((a, b) =>
    places.indexOf(a.place) - places.indexOf(b.place) || (a.line ?? 0) - (b.line ?? 0)
  );
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
