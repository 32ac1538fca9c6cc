import type { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { type Issue, toIssues, toUnknownKey } from "#/config/issue.ts";
import { PARSE_ONCE, toNode } from "#/config/schema_walk.ts";
import { isTable, newTree, type Tree } from "#/config/tree.ts";

/** One source after its check: what is right of it, and what is wrong with the rest. */
export interface Shaped {
  /** Only known keys with values of the right type. */
  readonly tree: Tree;
  readonly issues: readonly Issue[];
}

/**
 * Checks one source by itself against the schema, so that each mistake has the line where it is written, also when a later
 * layer hides it. Rules between keys, and keys that must be there, are for the joined layers.
 */
export function checkShape(schema: z.ZodType, tree: Tree): Shaped {
  const issues: Issue[] = [];
  return { tree: prune(schema, schema, tree, [], issues), issues };
}

function prune(root: z.ZodType, schema: z.ZodType, tree: Tree, path: readonly string[], issues: Issue[]): Tree {
  const node = toNode(schema);
  const kept = newTree();
  for (const [key, value] of Object.entries(tree)) {
    const here = [...path, key];
    // zod drops an entry of this name without a word.
    const below = key === "__proto__" ? undefined : belowOf(node, key, here, issues);
    if (below === undefined) {
      // What no report will show is not compared with every known key: a hostile file may have 100,000 of them.
      const shown = issues.length < LIMITS.configProblemsMax;
      issues.push({ path: here, sentence: shown ? toUnknownKey(root, here) : "unknown key" });
      continue;
    }
    if (below === "refused") continue;
    const kind = toNode(below).kind;
    if (kind === "table" || kind === "entries") {
      if (isTable(value)) kept[key] = prune(root, below, value, here, issues);
      else issues.push({ path: here, sentence: "expected a table" });
      continue;
    }
    const parsed = below.safeParse(value, PARSE_ONCE);
    if (parsed.success) kept[key] = value;
    else {
      for (const issue of toIssues(parsed.error, below, value)) {
        issues.push({ path: [...here, ...issue.path], sentence: issue.sentence });
      }
    }
  }
  return kept;
}

/** The schema of a key; undefined when it is unknown, `refused` when its name is no name, which is an issue already. */
function belowOf(
  node: ReturnType<typeof toNode>,
  key: string,
  path: readonly string[],
  issues: Issue[],
): z.ZodType | "refused" | undefined {
  if (node.kind === "table") return Object.hasOwn(node.keys, key) ? node.keys[key] : undefined;
  if (node.kind !== "entries") return undefined;
  const named = node.keyType.safeParse(key);
  if (named.success) return node.entry;
  issues.push({ path, sentence: named.error.issues[0]?.message ?? "is no name" });
  return "refused";
}
