import type { z } from "zod";
import { Secret } from "#/lib/secret.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { toKeyPath } from "#/config/key_path.ts";
import type { Loaded } from "#/config/load.ts";
import { toShownPath } from "#/config/read_file.ts";
import { Config } from "#/config/schema.ts";
import { schemaBelow, toNode } from "#/config/schema_walk.ts";
import type { Origin } from "#/config/source.ts";
import { isTable } from "#/config/tree.ts";

/** One key in force. `value` is absent for a key that is not set; a secret's is the mask. */
export interface ShownValue {
  readonly key: string;
  readonly value?: unknown;
  readonly secret: boolean;
  readonly source: Origin;
}

const MASK = "•••• (set)";
/** A longer value, a system prompt, is cut in the text form; `--json` has it whole. */
const VALUE_CHARS_MAX = 160;

/**
 * Every key of the schema with its value and who set it, in the order of the schema; of entries that a person names only the
 * keys that are set. Secrets are masked, also inside addresses and query texts.
 */
export function listEffective(loaded: Loaded): ShownValue[] {
  return collect(Config, loaded.config, [], loaded, false);
}

/** What `oxydra config show --effective` prints: a line for each key, or one JSON document. `cwd` shortens file names. */
export function showEffective(loaded: Loaded, options: { readonly json: boolean; readonly cwd: string }): string {
  const values = listEffective(loaded);
  if (options.json) return toPrintableJson({ user: loaded.user, values }, 2);
  const rows = values.map(({ key, value, source }) => ({
    left: `${key} = ${value === undefined ? "(not set)" : toShownValue(value)}`,
    right: toSourceText(source, options.cwd),
    section: key.split(".", 1)[0],
  }));
  // One long value must not push every source off the screen.
  const width = Math.min(64, Math.max(0, ...rows.map(({ left }) => left.length)));
  const lines = rows.map(({ left, right, section }, i) => {
    const gap = i > 0 && rows[i - 1]!.section !== section ? "\n" : "";
    return `${gap}${left.padEnd(width)}  # ${right}`;
  });
  return toPrintable(lines.join("\n"));
}

function collect(
  schema: z.ZodType,
  value: unknown,
  path: readonly string[],
  loaded: Loaded,
  named: boolean,
): ShownValue[] {
  const node = toNode(schema);
  if (node.kind === "table" || node.kind === "entries") {
    const table = isTable(value) ? value : {};
    const keys = Object.keys(node.kind === "table" && !named ? node.keys : table);
    if (keys.length === 0) return [{ key: toKeyPath(path), value: {}, secret: false, source: { layer: "default" } }];
    return keys.flatMap((key) => {
      if (named && table[key] === undefined) return [];
      return collect(schemaBelow(schema, key)!, table[key], [...path, key], loaded, named || node.kind === "entries");
    });
  }
  const key = toKeyPath(path);
  const shown = value === undefined ? {} : { value: value instanceof Secret ? MASK : maskInside(value) };
  return [{ key, ...shown, secret: value instanceof Secret, source: loaded.origins.get(key) ?? { layer: "default" } }];
}

/** Addresses and query texts may carry keys of their own: `?api_key=…`, `user:password@`. */
function maskInside(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskInside);
  if (isTable(value)) return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskInside(inner)]));
  if (typeof value !== "string") return value;
  return value.replace(/([\w-]*(?:key|token|secret|passw|auth|sig)[\w-]*=)[^&#\s"']+/gi, "$1••••")
    .replace(/(:\/\/)[^/@\s]+@/g, "$1••••@");
}

function toShownValue(value: unknown): string {
  if (value === MASK) return MASK;
  const text = toTomlText(value);
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}… (${text.length} characters)`;
}

function toTomlText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toTomlText).join(", ")}]`;
  if (!isTable(value)) return JSON.stringify(value);
  if (Object.keys(value).length === 0) return "{}";
  return `{ ${Object.entries(value).map(([key, inner]) => `${toKeyPath([key])} = ${toTomlText(inner)}`).join(", ")} }`;
}

function toSourceText({ layer, file, line, variable }: Origin, cwd: string): string {
  if (layer === "flag") return "command line";
  if (variable !== undefined) return `env ${variable}`;
  return file === undefined ? layer : `${layer} ${toShownPath(file, cwd)}${line === undefined ? "" : `:${line}`}`;
}
