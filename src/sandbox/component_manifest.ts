import { z } from "zod";
import { type Capability, HTTP_METHODS } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { LIMITS } from "#/core/limits.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import type { Tool } from "#/core/tool.ts";
import { toImportName } from "#/sandbox/component_interfaces.ts";
import { INTERFACE_OF, KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";

const description = z.string().max(4_000).exactOptional();
const fallback = z.string().max(LIMITS.pathBytesMax).exactOptional();
const Scalar = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("string"),
    description,
    minLength: z.int().min(0).exactOptional(),
    maxLength: z.int().min(0).exactOptional(),
    enum: z.array(z.string().max(256)).min(1).max(64).exactOptional(),
    default: fallback,
  }),
  z.strictObject({
    type: z.enum(["integer", "number"]),
    description,
    minimum: z.number().exactOptional(),
    maximum: z.number().exactOptional(),
  }),
  z.strictObject({ type: z.literal("boolean"), description }),
]);

/** The part of JSON Schema that arguments may use: no pattern, which would run in the runner, and no reference. */
const Arg = z.discriminatedUnion("type", [
  ...Scalar.options,
  z.strictObject({ type: z.literal("array"), description, items: Scalar, maxItems: z.int().min(0).exactOptional() }),
]);
const ArgName = z.string().regex(/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/);
const Args = z.strictObject({
  type: z.literal("object"),
  properties: z.record(ArgName, Arg).refine((it) => Object.keys(it).length <= 64, "has more than 64 arguments"),
  required: z.array(ArgName).max(64).default([]),
  additionalProperties: z.literal(false).exactOptional(),
});

// A path or an address is fixed, or `$name` of a string argument. No secret and no setting: those are for tools of ours.
const path = z.string().min(1).max(LIMITS.pathBytesMax);
const bytesMax = (most: number) => z.int().min(0).max(most);
const Need = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("fs.read"),
    path,
    scope: z.enum(["file", "tree"]),
    bytesMax: bytesMax(LIMITS.searchBytesMax),
  }),
  z.strictObject({
    kind: z.literal("fs.list"),
    path,
    scope: z.enum(["dir", "tree"]),
    entriesMax: bytesMax(LIMITS.listEntriesMax),
  }),
  z.strictObject({
    kind: z.literal("fs.write"),
    path,
    mode: z.enum(["write", "delete"]),
    bytesMax: bytesMax(LIMITS.fileBytesMax),
  }),
  z.strictObject({
    kind: z.literal("http"),
    url: z.string().min(1).max(4_096),
    methods: z.array(z.enum(HTTP_METHODS)).min(1).max(HTTP_METHODS.length),
    scope: z.enum(["exact", "tree"]),
    bytesUpMax: bytesMax(LIMITS.fileBytesMax),
    bytesDownMax: bytesMax(LIMITS.fileBytesMax),
    redirectsMax: z.int().min(0).max(10),
  }),
  z.strictObject({ kind: z.enum(["clock", "random", "log"]) }),
]);
type Need = z.infer<typeof Need>;

const PackageTool = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
  description: z.string().min(1).max(4_000),
  args: Args,
  effect: z.enum(["read_only", "side_effecting", "privileged"]),
  timeoutMs: z.int().min(1).max(600_000),
  needs: z.array(Need).max(16),
});
type PackageTool = z.infer<typeof PackageTool>;

/** What a package says of itself, and all that it asks for. The component is held to it. */
export const PackageManifest = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  version: z.string().regex(/^[\w.+-]{1,64}$/),
  world: z.string().regex(/^[\w:/@.-]{1,256}$/),
  /** WIT interfaces, without versions. */
  imports: z.array(z.enum(KNOWN_INTERFACES)).max(16),
  component: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  tools: z.array(PackageTool).min(1).max(LIMITS.packageToolsMax),
  limits: z.strictObject({ memoryPagesMax: z.int().min(1).max(LIMITS.componentPagesMax).exactOptional() })
    .exactOptional(),
});
export type PackageManifest = z.infer<typeof PackageManifest>;

/** Names that a package may not take. */
export interface TakenNames {
  readonly tools: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

/** Reads a manifest. Throws AppError `component_invalid` naming the field that is malformed, or that asks for more than the manifest declares. */
export function parseManifest(text: string, taken: TakenNames): PackageManifest {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > LIMITS.manifestBytesMax) throw wrong("its size", `is over ${LIMITS.manifestBytesMax} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AppError("component_invalid", "the manifest is no JSON", { cause });
  }
  const parsed = PackageManifest.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw wrong(issue.path.join(".") || "its root", issue.message);
  }
  checkManifest(parsed.data, taken);
  return parsed.data;
}

/** What a schema cannot say: taken names, and needs beyond what is declared. Throws AppError `component_invalid` naming the field. */
export function checkManifest(manifest: PackageManifest, taken: TakenNames): void {
  if (taken.packages.has(manifest.name)) throw wrong("name", `${manifest.name} is the name of another package`);
  const seen = new Set(taken.tools);
  manifest.tools.forEach((tool, index) => {
    const at = `tools.${index}`;
    if (seen.has(tool.name)) throw wrong(`${at}.name`, `there is another tool of the name ${tool.name}`);
    seen.add(tool.name);
    tool.args.required.forEach((name, number) => {
      if (!Object.hasOwn(tool.args.properties, name)) throw wrong(`${at}.args.required.${number}`, "is no argument");
    });
    tool.needs.forEach((need, number) => checkNeed(manifest, tool, need, `${at}.needs.${number}`));
  });
}

function checkNeed(manifest: PackageManifest, tool: PackageTool, need: Need, at: string): void {
  const wanted = toImportName(INTERFACE_OF[need.kind]);
  if (!manifest.imports.includes(wanted)) {
    throw wrong(`${at}.kind`, `${need.kind} needs ${wanted}, which imports lacks`);
  }
  if (tool.effect === "read_only" && changesThings(need)) throw wrong(`${at}.kind`, "a read_only tool changes nothing");
  const [field, text] = slotOf(need);
  if (!text.startsWith("$")) {
    try {
      toCapability(need, {});
    } catch (error) {
      throw wrong(`${at}.${field}`, (error as Error).message);
    }
    return;
  }
  const name = text.slice(1);
  const arg = Object.hasOwn(tool.args.properties, name) ? tool.args.properties[name] : undefined;
  if (arg?.type !== "string") throw wrong(`${at}.${field}`, `${text} names no argument that is a string`);
  if (!tool.args.required.includes(name) && arg.default === undefined) {
    throw wrong(`${at}.${field}`, `${text} names an argument that may be absent`);
  }
}

function changesThings(need: Need): boolean {
  if (need.kind === "http") return need.methods.some((method) => method !== "GET" && method !== "HEAD");
  return need.kind === "fs.write";
}

/** The one field of a need that may name an argument, and what it says. */
function slotOf(need: Need): readonly [field: string, text: string] {
  if ("path" in need) return ["path", need.path];
  return need.kind === "http" ? ["url", need.url] : ["kind", need.kind];
}

/** The tools of a manifest, as the broker runs them and a model is told of them. */
export function toTools(manifest: PackageManifest): Tool[] {
  return manifest.tools.map((tool) => ({
    name: tool.name,
    description: tool.description,
    args: z.fromJSONSchema({ ...tool.args, additionalProperties: false }),
    effect: tool.effect,
    timeoutMs: tool.timeoutMs,
    needs: (args) => tool.needs.map((need) => toCapability(need, args as Readonly<Record<string, unknown>>)),
    run: { component: manifest.name },
  }));
}

/**
 * Pure: a capability follows from the parsed arguments and nothing else. Throws AppError `path_*` for a path that is none,
 * `tool_args_invalid` for an address that is none.
 */
function toCapability(need: Need, args: Readonly<Record<string, unknown>>): Capability {
  const [, text] = slotOf(need);
  const filled = text.startsWith("$") ? String(args[text.slice(1)]) : text;
  if ("path" in need) return { ...need, path: normalizeVirtualPath(filled) };
  return need.kind === "http" ? toHttpNeed(filled, need) : need;
}

function wrong(field: string, reason: string): AppError {
  return new AppError("component_invalid", `the manifest is refused at ${field}: ${reason}`);
}
