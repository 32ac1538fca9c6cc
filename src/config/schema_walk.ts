import { z } from "zod";
import type { Segment } from "#/config/key_path.ts";

/** What a schema expects at one place, its wrappers (optional, default, transform) taken off. */
export type SchemaNode =
  | { readonly kind: "table"; readonly keys: Readonly<Record<string, z.ZodType>> }
  /** Keys are chosen by the person. */
  | { readonly kind: "entries"; readonly keyType: z.ZodType; readonly entry: z.ZodType }
  | { readonly kind: "list"; readonly element: z.ZodType }
  | { readonly kind: "choice"; readonly values: readonly string[] }
  | { readonly kind: "text" | "number" | "boolean" };

/** For a parse that happens once in a process: compiling the schema first costs 15 to 20 ms more than it saves (zod 4.6.7, measured). */
export const PARSE_ONCE = { jitless: true } as const;

/** The node of a schema of a config section. Throws TypeError for a kind of schema that no section uses. */
export function toNode(schema: z.ZodType): SchemaNode {
  let inner: z.ZodType = schema;
  for (;;) {
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      inner = inner.unwrap() as z.ZodType;
    } else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType;
    else break;
  }
  if (inner instanceof z.ZodObject) return { kind: "table", keys: inner.shape as Record<string, z.ZodType> };
  if (inner instanceof z.ZodRecord) {
    return { kind: "entries", keyType: inner.keyType as z.ZodType, entry: inner.valueType as z.ZodType };
  }
  if (inner instanceof z.ZodArray) return { kind: "list", element: inner.element as z.ZodType };
  if (inner instanceof z.ZodEnum) return { kind: "choice", values: inner.options as readonly string[] };
  if (inner instanceof z.ZodString) return { kind: "text" };
  if (inner instanceof z.ZodNumber) return { kind: "number" };
  if (inner instanceof z.ZodBoolean) return { kind: "boolean" };
  throw new TypeError(`no config section uses a schema of type ${inner.def.type}`);
}

/** The schema below `schema` at a key or an index; undefined when it knows no such key. */
export function schemaBelow(schema: z.ZodType, segment: Segment): z.ZodType | undefined {
  const node = toNode(schema);
  if (node.kind === "table") return Object.hasOwn(node.keys, segment) ? node.keys[segment] : undefined;
  if (node.kind === "entries") return node.entry;
  return node.kind === "list" ? node.element : undefined;
}

/** The schema at a path, or undefined. */
export function schemaAt(schema: z.ZodType, path: readonly Segment[]): z.ZodType | undefined {
  let at: z.ZodType | undefined = schema;
  for (const segment of path) at = at && schemaBelow(at, segment);
  return at;
}

/** Every key that a schema knows, by path; `*` stands for a name that a person chooses, and for the index of a list of tables. */
export function* schemaKeys(schema: z.ZodType, path: readonly string[] = []): Generator<readonly string[]> {
  const node = toNode(schema);
  if (node.kind === "table") {
    for (const [key, below] of Object.entries(node.keys)) yield* schemaKeys(below, [...path, key]);
  } else if (node.kind === "entries") yield* schemaKeys(node.entry, [...path, "*"]);
  else if (node.kind === "list" && toNode(node.element).kind === "table") {
    yield* schemaKeys(node.element, [...path, "*"]);
  } else yield path;
}
