import { nearestName } from "#/lib/nearest.ts";
import { crossCheck } from "#/config/cross_check.ts";
import { type Issue, toIssues } from "#/config/issue.ts";
import { type Segment, toKeyPath } from "#/config/key_path.ts";
import type { Problem } from "#/config/problem.ts";
import { Config } from "#/config/schema.ts";
import { PARSE_ONCE, schemaAt, toNode } from "#/config/schema_walk.ts";
import { type Origin, originIn, problemIn, type Source } from "#/config/source.ts";
import { cloneTree, isTable, mergeTree, newTree, type Tree, valueAt } from "#/config/tree.ts";

/** Sources laid over one another, with who set what. */
export class JoinedLayers {
  readonly sources: Source[] = [];
  readonly origins: Map<string, Origin> = new Map();
  readonly tree: Tree;
  /** What was joined beneath the project's files. */
  below: Tree = newTree();

  constructor(defaults: Tree) {
    this.tree = cloneTree(defaults);
  }

  /** Lays a source over the others. */
  add(source: Source): void {
    this.sources.push(source);
    mergeTree(this.tree, source.tree, (path) => this.origins.set(toKeyPath(path), originIn(source, path)));
  }

  /** What comes from now on lies over the project's border. */
  markBelow(): void {
    this.below = cloneTree(this.tree);
  }

  /** A value that the loader works out itself. */
  set(path: readonly string[], value: unknown): void {
    let table = this.tree;
    for (const key of path.slice(0, -1)) {
      if (!isTable(table[key])) table[key] = newTree();
      table = table[key] as Tree;
    }
    table[path.at(-1)!] = value;
  }

  /** The strongest source that sets a path, or the nearest table around it. */
  sourceOf(path: readonly Segment[]): Source | undefined {
    for (let depth = path.length; depth > 0; depth--) {
      const source = this.sources.findLast(({ tree }) => valueAt(tree, path.slice(0, depth)) !== undefined);
      if (source !== undefined) return source;
    }
    return undefined;
  }

  /** A problem of the joined layers, at the place that a person would change. */
  problemAt(path: readonly Segment[], sentence: string): Problem {
    const source = this.sourceOf(path);
    if (source !== undefined) return problemIn(source, path, sentence);
    return { code: "config_invalid", place: "defaults", key: toKeyPath(path), sentence };
  }

  /**
   * Parses what was joined and checks the rules between keys. `wrong` are paths that are reported already: nothing is said that
   * only follows from them. With problems, the config is what remains without the broken entries.
   */
  check(wrong: readonly string[]): { config: Config; problems: Problem[] } {
    const { config, issues } = parse(this.tree);
    const problems = issues.filter(({ path }) => !follows(path, wrong))
      .map(({ path, sentence }) => this.problemAt(path, sentence));
    const registry = valueAt(this.tree, ["providers", "registry"]);
    for (const { path, involved, sentence } of crossCheck(config, Object.keys(isTable(registry) ? registry : {}))) {
      if (![toKeyPath(path), ...involved].some((key) => wrong.some((other) => touches(other, key)))) {
        problems.push(this.problemAt(path, sentence));
      }
    }
    return { config, problems };
  }
}

/** Each source was checked by itself, so what is left are keys that no source gave; their entries are dropped. */
function parse(tree: Tree): { config: Config; issues: Issue[] } {
  const first = Config.safeParse(tree, PARSE_ONCE);
  if (first.success) return { config: first.data, issues: [] };
  const issues = toIssues(first.error, Config, tree);
  const rest = cloneTree(tree);
  for (const { path } of issues) {
    const depth = path.findIndex((_, i) => toNode(schemaAt(Config, path.slice(0, i)) ?? Config).kind === "entries");
    const entry = path.slice(0, depth < 0 ? 1 : depth + 1);
    const parent = valueAt(rest, entry.slice(0, -1));
    if (isTable(parent)) delete parent[entry.at(-1)!];
  }
  return { config: Config.parse(rest, PARSE_ONCE), issues };
}

/** True for a missing key that is written wrong beside its place. */
function follows(path: readonly Segment[], wrong: readonly string[]): boolean {
  const key = toKeyPath(path);
  const parent = toKeyPath(path.slice(0, -1)) + ".";
  return wrong.some((other) =>
    touches(other, key) ||
    (other.startsWith(parent) && nearestName(other.slice(parent.length), [String(path.at(-1))]) !== undefined)
  );
}

/** True when one path is the other or lies in it. */
function touches(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return long === short || long.startsWith(`${short}.`) || long.startsWith(`${short}[`);
}
