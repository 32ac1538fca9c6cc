import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";

const Tokens = z.int().nonnegative();
const Dollars = z.number().nonnegative().max(LIMITS.priceDollarsMax);
/** Rates of a model; also `cost` in a person's own word about one. */
export const Price = {
  input: Dollars,
  output: Dollars,
  cache_read: Dollars.optional(),
  cache_write: Dollars.optional(),
};

/**
 * One model as models.dev states it (github.com/anomalyco/models.dev, packages/core/src/schema.ts). Vendors add fields: what is not
 * named here is left out. Prices are US dollars per million tokens; 0 tokens means that nobody has stated a limit.
 */
export const CatalogModel = z.object({
  id: z.string().min(1).max(256),
  name: z.string().max(256),
  family: z.string().optional(),
  status: z.string().optional(),
  release_date: z.string().max(32).optional(),
  attachment: z.boolean().default(false),
  reasoning: z.boolean().default(false),
  tool_call: z.boolean().default(false),
  structured_output: z.boolean().optional(),
  temperature: z.boolean().optional(),
  interleaved: z.union([z.boolean(), z.object({ field: z.string().optional() })]).optional(),
  modalities: z.object({ input: z.array(z.string()), output: z.array(z.string()) }).default({
    input: ["text"],
    output: ["text"],
  }),
  limit: z.object({ context: Tokens, input: Tokens.optional(), output: Tokens }),
  cost: z.object({
    ...Price,
    tiers: z.array(z.object({ ...Price, tier: z.object({ size: Tokens }) })).optional(),
  }).optional(),
});
export type CatalogModel = z.infer<typeof CatalogModel>;

/** One vendor of a catalog file, its models not looked at yet: whoever wants one checks that one. */
export const CatalogVendor = z.object({
  id: z.string().min(1).max(64),
  name: z.string().max(256),
  models: z.record(z.string(), z.unknown()),
});
export type CatalogVendor = z.infer<typeof CatalogVendor>;

/** What a catalog file holds, by the vendor's id. */
export type Vendors = Readonly<Record<string, CatalogVendor>>;

/** What is wrong with a catalog file. */
export interface CatalogFlaw {
  /** From 1; absent when the file as a whole is meant. */
  readonly line?: number;
  readonly sentence: string;
}

/** A catalog file that was read: its vendors, and what of it does not fit. Nothing is thrown: the next place is read instead. */
export interface ReadCatalog {
  readonly vendors: Vendors;
  readonly flaws: readonly CatalogFlaw[];
}

/** Reads the text of a catalog file. A vendor that does not fit is left out; its models are for `parseModel` and `checkModels`. */
export function readCatalog(text: string): ReadCatalog {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    return { vendors: {}, flaws: [toSyntaxFlaw(text, error)] };
  }
  const table = z.record(z.string(), z.unknown()).safeParse(root);
  if (!table.success) return { vendors: {}, flaws: [{ sentence: "is no catalog: expected a table of vendors" }] };
  const vendors: Record<string, CatalogVendor> = {};
  const flaws: CatalogFlaw[] = [];
  for (const [id, value] of Object.entries(table.data)) {
    const vendor = CatalogVendor.safeParse(value);
    if (vendor.success) vendors[id] = vendor.data;
    else flaws.push(toFlaw(text, root, [id], vendor.error));
  }
  if (flaws.length === 0 && Object.keys(vendors).length === 0) flaws.push({ sentence: "names no vendor" });
  return { vendors, flaws };
}

/** One model of a file's vendors; undefined when it is not there or does not fit. */
export function parseModel(vendors: Vendors, vendor: string, model: string): CatalogModel | undefined {
  const models = Object.hasOwn(vendors, vendor) ? vendors[vendor]!.models : {};
  return Object.hasOwn(models, model) ? CatalogModel.safeParse(models[model]).data : undefined;
}

/** Every model of a file's vendors. `text` gives the flaws their lines. */
export function checkModels(text: string, vendors: Vendors): { models: CheckedVendors; flaws: CatalogFlaw[] } {
  const models: Record<string, CheckedVendor> = {};
  const flaws: CatalogFlaw[] = [];
  for (const [id, vendor] of Object.entries(vendors)) {
    const fitting: Record<string, CatalogModel> = {};
    for (const [name, value] of Object.entries(vendor.models)) {
      const model = CatalogModel.safeParse(value);
      if (model.success) fitting[name] = model.data;
      else flaws.push(toFlaw(text, vendors, [id, "models", name], model.error));
    }
    models[id] = { ...vendor, models: fitting };
  }
  return { models, flaws };
}

/** A vendor whose models all fit. */
export type CheckedVendor = Omit<CatalogVendor, "models"> & { readonly models: Readonly<Record<string, CatalogModel>> };
/** Vendors whose models all fit, by id. */
export type CheckedVendors = Readonly<Record<string, CheckedVendor>>;

/** The text of a catalog file: sorted, a line for each model, so that the same catalog is the same bytes and a flaw has a line of its own. */
export function toCatalogText(vendors: CheckedVendors): string {
  const lines = sorted(vendors).map(([id, { name, models }]) => {
    const rows = sorted(models).map(([key, model]) => `\n${JSON.stringify(key)}:${JSON.stringify(model)}`);
    const key = JSON.stringify(id);
    return `\n${key}:{"id":${key},"name":${JSON.stringify(name)},"models":{${rows.join(",")}}}`;
  });
  return `{${lines.join(",")}\n}\n`;
}

function sorted<T>(table: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(table).sort(([a], [b]) => a < b ? -1 : 1);
}

/** V8 says where: `… in JSON at position 12 (line 1 column 13)`; a text that ends too early has no place. */
function toSyntaxFlaw(text: string, error: unknown): CatalogFlaw {
  const position = /at position (\d+)/.exec(String(error))?.[1];
  const line = lineAt(text, position === undefined ? text.length : Number(position));
  return { line, sentence: text.trim() === "" ? "is empty" : "is no JSON here; it may have been cut off" };
}

function toFlaw(text: string, root: unknown, at: readonly string[], error: z.ZodError): CatalogFlaw {
  const issue = error.issues[0]!;
  const path = [...at, ...issue.path.map(String)];
  return { line: lineOf(text, root, path), sentence: `${path.join(".")}: ${issue.message}` };
}

/** Line of the deepest member of a path that is there: the member's name is looked for behind that of its parent. */
function lineOf(text: string, root: unknown, path: readonly string[]): number {
  let value = root;
  let position = 0;
  for (const step of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) break;
    value = (value as Record<string, unknown>)[step];
    const found = text.indexOf(`${JSON.stringify(step)}:`, position);
    const spaced = found === -1 ? text.indexOf(`${JSON.stringify(step)} :`, position) : found;
    if (spaced === -1) break;
    position = spaced;
  }
  return lineAt(text, position);
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
