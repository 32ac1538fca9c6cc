import type { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { nearestName } from "#/lib/nearest.ts";
import type { Segment } from "#/config/key_path.ts";
import { schemaAt, schemaKeys, toNode } from "#/config/schema_walk.ts";
import { isTable, valueAt } from "#/config/tree.ts";

/** What is wrong at one path of a tree. */
export interface Issue {
  readonly path: readonly Segment[];
  readonly sentence: string;
}

/** The issues of a failed parse in our words. `root` and `tree` are the schema and the value that were parsed. */
export function toIssues(error: z.ZodError, root: z.ZodType, tree: unknown): Issue[] {
  return error.issues.flatMap((issue): Issue[] => {
    const path = issue.path.map((segment) => typeof segment === "number" ? segment : String(segment));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key, i) => {
        const shown = i < LIMITS.configProblemsMax;
        return { path: [...path, key], sentence: shown ? toUnknownKey(root, [...path, key]) : "unknown key" };
      });
    }
    const value = valueAt(tree, path);
    if (value === undefined && issue.code !== "custom") return [{ path, sentence: "is missing" }];
    return [{ path, sentence: toSentence(issue, value) }];
  });
}

/** `unknown key …` with the place where a key of this name belongs, else the nearest known key beside it, else those that are known. */
export function toUnknownKey(root: z.ZodType, path: readonly Segment[]): string {
  const key = String(path.at(-1));
  const parent = schemaAt(root, path.slice(0, -1));
  const node = parent === undefined ? undefined : toNode(parent);
  const siblings = node?.kind === "table" ? Object.keys(node.keys) : [];
  const elsewhere = schemaKeys(root).find((known) => known.at(-1) === key);
  if (elsewhere !== undefined) {
    return `unknown key here; it belongs to ${elsewhere.slice(0, -1).join(".") || "the top"}`;
  }
  const nearest = nearestName(key, siblings);
  if (nearest !== undefined) return `unknown key; the nearest known key is ${nearest}`;
  return siblings.length === 0 ? "unknown key" : `unknown key; known here: ${siblings.join(", ")}`;
}

function toSentence(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${toWords(issue.expected)}, got ${toWords(typeOf(value))}`;
    case "too_small":
      if (issue.origin === "array") return `expected at least ${issue.minimum} element`;
      return `expected a number ${issue.inclusive ? "of at least" : "above"} ${issue.minimum}, got ${value}`;
    case "too_big":
      return `expected a number of at most ${issue.maximum}, got ${value}`;
    case "invalid_value": {
      const nearest = typeof value === "string" ? nearestName(value, issue.values.map(String)) : undefined;
      const got = typeof value === "string" ? "" : `, got ${toWords(typeOf(value))}`;
      return `expected one of ${issue.values.join(", ")}${got}${
        nearest === undefined ? "" : `; the nearest is ${nearest}`
      }`;
    }
    case "invalid_key":
      return issue.issues[0]?.message ?? "is no name";
    default:
      return issue.message;
  }
}

/** TOML's name of a value's type, as zod would call it. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value instanceof Date) return "date";
  if (isTable(value)) return "object";
  return typeof value === "number" && Number.isNaN(value) ? "nan" : typeof value;
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a table",
  record: "a table",
  date: "a date",
  nan: "nan",
};

/** A type in words for a message: `text`, `a whole number`, `a table`. */
export function toWords(type: string): string {
  return WORDS[type] ?? type;
}
