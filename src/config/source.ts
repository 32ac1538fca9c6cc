import type { z } from "zod";
import { type Segment, toKeyPath } from "#/config/key_path.ts";
import type { Problem } from "#/config/problem.ts";
import { checkShape } from "#/config/shape.ts";
import { nest, type Tree } from "#/config/tree.ts";

/** From weakest to strongest. `user` is `~/.config/oxydra` and `~/.oxydra`; `project` is `./.oxydra` or `--config`. */
export type LayerName = "default" | "system" | "user" | "project" | "env" | "flag";

/** Where a value was set. */
export interface Origin {
  readonly layer: LayerName;
  /** Absolute path of a file. */
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** Name of an environment variable. */
  readonly variable?: string;
}

/** One file, environment variable or set of flags, after its own check. */
export interface Source {
  readonly layer: LayerName;
  /** As messages show it. */
  readonly place: string;
  readonly file?: string;
  readonly variable?: string;
  /** Where in Config its keys belong: `["runner"]` for runner.toml. */
  readonly at: readonly string[];
  /** The figment profile inside the file, `["default"]`. */
  readonly profile: readonly string[];
  readonly lines: ReadonlyMap<string, number>;
  /** In Config's shape, wrong parts left out. */
  readonly tree: Tree;
  /** False for what a stranger may have written: the project's files until a person trusts them. */
  readonly trusted: boolean;
}

/** What a source is before its check: its raw tree is in the shape of its own file. */
export type RawSource = Omit<Source, "tree"> & { readonly raw: Tree };

/** Checks a raw source by itself. `wrong` are Config paths whose values were left out, so that nothing speaks of them twice. */
export function checkSource(
  { raw, ...source }: RawSource,
  schema: z.ZodType,
): { source: Source; problems: Problem[]; wrong: string[] } {
  const { tree, issues } = checkShape(schema, raw);
  const checked = { ...source, tree: nest(tree, source.at) };
  return {
    source: checked,
    problems: issues.map(({ path, sentence }) => problemIn(checked, [...source.at, ...path], sentence)),
    wrong: issues.map(({ path }) => toKeyPath([...source.at, ...path])),
  };
}

/** A problem of a source at a path of Config. */
export function problemIn(
  source: Omit<Source, "tree">,
  path: readonly Segment[],
  sentence: string,
  code: Problem["code"] = "config_invalid",
): Problem {
  const line = lineIn(source, path);
  const key = toKeyPath([...source.profile, ...path.slice(source.at.length)]);
  return { code, place: source.place, ...(line === undefined ? {} : { line }), key, sentence };
}

/** The line of a Config path in a source, or that of the nearest table around it. */
export function lineIn(source: Omit<Source, "tree">, path: readonly Segment[]): number | undefined {
  const inside = path.slice(source.at.length);
  for (let depth = inside.length; depth > 0; depth--) {
    const line = source.lines.get(toKeyPath([...source.profile, ...inside.slice(0, depth)]));
    if (line !== undefined) return line;
  }
  return undefined;
}

/** The origin of a Config path that a source sets. */
export function originIn(source: Source, path: readonly Segment[]): Origin {
  const line = lineIn(source, path);
  return {
    layer: source.layer,
    ...(source.file === undefined ? {} : { file: source.file }),
    ...(line === undefined ? {} : { line }),
    ...(source.variable === undefined ? {} : { variable: source.variable }),
  };
}
