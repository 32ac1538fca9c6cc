import type { Modality, ModelDescriptor } from "#/core/model.ts";
import { nearestNames } from "#/lib/nearest.ts";
import { isProtocol, toHost } from "#/provider/base_url.ts";
import { type CatalogModel, parseModel, type Vendors } from "#/provider/catalog.ts";
import { applyChange, type CatalogChange, type CatalogOverlay, toPrice } from "#/provider/catalog_overlay.ts";
import type { ProviderEntry } from "#/provider/config.ts";
import type { ProviderType } from "#/provider/type.ts";
import { CONTEXT_TOKENS, OUTPUT_TOKENS, toDemoDescriptor, toSyntheticDescriptor } from "#/provider/descriptor.ts";

/** One place that models are looked up in. */
export interface CatalogTier {
  /** As messages show it. */
  readonly place: string;
  /** False for a file of a folder that nobody trusted: a price of 0 would lift a cost limit, so it states none. */
  readonly priced: boolean;
  readonly vendors: Vendors;
}

/** What is known about models: the first tier that has one speaks, and the overlay has the last word. */
export interface Catalog {
  readonly tiers: readonly CatalogTier[];
  readonly overlay: CatalogOverlay;
}

/** A model that somebody selected. */
export interface ModelQuestion {
  /** Entry name in the registry. */
  readonly provider: string;
  readonly entry: Omit<ProviderEntry, "api_key" | "extra_headers">;
  readonly model: string;
  /** `skip_catalog_validation`: a model that no catalog has is taken on trust. */
  readonly skip: boolean;
  /** Context of a model that nothing is known about. */
  readonly fallbackContextTokens: number;
  /** False when a stranger chose which vendor's catalog this entry is looked up in. */
  readonly priced: boolean;
}

const MODALITIES = ["text", "image", "audio", "video", "pdf", "document"] as const satisfies readonly Modality[];

/** What only a server of one's own can know of its models is not forbidden beforehand: the wire format is then the bound. */
const OWN_SERVER = { input: MODALITIES, structuredOutput: true } as const satisfies Partial<ModelDescriptor>;

const NAMESPACES: Readonly<Record<Exclude<ProviderType, "demo">, string>> = {
  openai: "openai",
  openai_responses: "openai",
  anthropic: "anthropic",
  gemini: "google",
};

/**
 * What is known about a selected model, or a sentence for the person when it is in no catalog and should be. An entry with a server of
 * its own and no `catalog_provider` (Ollama, vLLM, a proxy) may serve anything: its models need no catalog, and are looked up all the
 * same. Pure.
 */
export function describeModel(catalog: Catalog, question: ModelQuestion): ModelDescriptor | string {
  const { provider, entry, model, skip } = question;
  const vendor = toVendor(entry);
  if (vendor === undefined) return toDemoDescriptor(model, question.fallbackContextTokens);
  const found = findModel(catalog.tiers, vendor, model);
  const isVendors = entry.catalog_provider !== undefined || isVendorsOwn(entry);
  if (found === undefined && isVendors && !skip) return toMissing(catalog.tiers, vendor, model);
  const known = found !== undefined
    ? toDescriptor(found.model, found.tier, question.priced)
    : { ...toSyntheticDescriptor(model, question.fallbackContextTokens), ...(isVendors ? {} : OWN_SERVER) };
  const owner = found !== undefined || isVendors ? vendor : provider;
  const { provider_defaults, overrides } = catalog.overlay;
  return [valueOf(provider_defaults, owner), valueOf(overrides, `${owner}/${model}`), toChange(entry)]
    .reduce<ModelDescriptor>((before, change) => change === undefined ? before : applyChange(before, change), known);
}

/** The catalog's id of the vendor whose models an entry serves; undefined for the demo. */
export function toVendor({ catalog_provider, provider_type: type }: ModelQuestion["entry"]): string | undefined {
  return catalog_provider ?? (type === "demo" ? undefined : NAMESPACES[type]);
}

/** The first tier that has a model which fits the schema. */
export function findModel(
  tiers: readonly CatalogTier[],
  vendor: string,
  model: string,
): { readonly model: CatalogModel; readonly tier: CatalogTier } | undefined {
  for (const tier of tiers) {
    const found = parseModel(tier.vendors, vendor, model);
    if (found !== undefined) return { model: found, tier };
  }
  return undefined;
}

/** A catalog's model as the rest of the system knows it. What is stated as 0 is not known. */
export function toDescriptor(model: CatalogModel, tier: CatalogTier, priced = true): ModelDescriptor {
  const { id, name, limit, modalities, attachment, cost } = model;
  return {
    id,
    name,
    contextTokens: limit.context || CONTEXT_TOKENS,
    ...(limit.input ? { inputTokens: limit.input } : {}),
    outputTokens: limit.output || OUTPUT_TOKENS,
    input: attachment ? modalities.input.filter(isModality) : ["text"],
    output: modalities.output.filter(isModality),
    toolCall: model.tool_call,
    reasoning: model.reasoning,
    structuredOutput: model.structured_output ?? false,
    ...(cost !== undefined && priced && tier.priced ? { price: toPrice(cost) } : {}),
    source: tier.place,
  };
}

/** True when an entry reaches the vendor itself, also by its address written out. */
function isVendorsOwn({ provider_type: type, base_url }: ModelQuestion["entry"]): boolean {
  if (base_url === undefined || !isProtocol(type)) return true;
  return toHost(base_url, type) === toHost(undefined, type);
}

function toMissing(tiers: readonly CatalogTier[], vendor: string, model: string): string {
  const all = (ids: (vendors: Vendors) => string[]) => [...new Set(tiers.flatMap((tier) => ids(tier.vendors)))];
  const models = all((vendors) => Object.keys(valueOf(vendors, vendor)?.models ?? {}));
  const near = models.length === 0 ? all(Object.keys) : nearestNames(model, models, 3);
  const what = models.length === 0
    ? `the catalog has no vendor ${vendor}; it has ${near.slice(0, 12).join(", ")}`
    : `${vendor} has no model ${model} in the catalog; ${
      near.length === 0
        ? `see what it has: oxydra catalog show ${vendor}`
        : `the nearest ${near.length === 1 ? "is" : "are"} ${near.join(", ")}`
    }`;
  return `${what}. When it is newer than the catalog: oxydra catalog fetch. To use it unseen, without its price: [catalog] ` +
    "skip_catalog_validation = true";
}

/** Its keys are those of a change, but for one. */
function toChange(entry: ModelQuestion["entry"]): CatalogChange {
  return { ...entry, supports_reasoning_traces: entry.reasoning };
}

function isModality(text: string): text is Modality {
  return (MODALITIES as readonly string[]).includes(text);
}

function valueOf<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
