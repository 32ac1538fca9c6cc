import { z } from "zod";
import type { Modality, ModelDescriptor, ModelPrice } from "#/core/model.ts";
import { count } from "#/lib/field.ts";
import { type CatalogModel, Price } from "#/provider/catalog.ts";
import { ProviderEntry } from "#/provider/config.ts";
import { present } from "#/provider/present.ts";

/** What a person knows better about a model than its catalog. Keys are the reference's, and `cost` as models.dev has it. */
export const CatalogChange = z.strictObject({
  /** Accepted for the reference's sake: every provider streams here. */
  supports_streaming: z.boolean().optional(),
  supports_tools: z.boolean().optional(),
  supports_json_mode: z.boolean().optional(),
  supports_reasoning_traces: z.boolean().optional(),
  max_input_tokens: count().optional(),
  max_output_tokens: count().optional(),
  max_context_tokens: count().optional(),
  attachment: z.boolean().optional(),
  input_modalities: ProviderEntry.shape.input_modalities,
  deprecated: z.boolean().optional(),
  cost: z.strictObject(Price).optional(),
});
export type CatalogChange = z.infer<typeof CatalogChange>;

/** `oxydra_caps_overrides.json`: changes for all models of a vendor, and for one (`vendor/model`), which win. */
export const CatalogOverlay = z.strictObject({
  provider_defaults: z.record(z.string(), CatalogChange).default({}),
  overrides: z.record(z.string(), CatalogChange).default({}),
});
export type CatalogOverlay = z.infer<typeof CatalogOverlay>;

/** A price as a catalog writes it. Pure. */
export function toPrice({ tiers = [], ...rates }: NonNullable<CatalogModel["cost"]>): ModelPrice {
  const above = tiers.map(({ tier, ...dearer }) => ({ aboveTokens: tier.size, ...toRates(dearer) }));
  above.sort((a, b) => a.aboveTokens - b.aboveTokens);
  return { ...toRates(rates), ...(above.length === 0 ? {} : { tiers: above }) };
}

function toRates({ input, output, cache_read, cache_write }: NonNullable<CatalogChange["cost"]>) {
  return { input, output, ...present({ cacheRead: cache_read, cacheWrite: cache_write }) };
}

/** A descriptor with what a change says. Pure. */
export function applyChange(known: ModelDescriptor, change: CatalogChange): ModelDescriptor {
  const { inputTokens, ...rest } = known;
  // A smaller context that a person states makes the vendor's bound on prompts void.
  const inputMax = change.max_input_tokens ?? (change.max_context_tokens === undefined ? inputTokens : undefined);
  return {
    ...rest,
    contextTokens: change.max_context_tokens ?? Math.max(known.contextTokens, change.max_input_tokens ?? 0),
    ...present({ inputTokens: inputMax, price: change.cost && toPrice(change.cost) }),
    outputTokens: change.max_output_tokens ?? known.outputTokens,
    input: toInput(known.input, change),
    toolCall: change.supports_tools ?? known.toolCall,
    reasoning: change.supports_reasoning_traces ?? known.reasoning,
    structuredOutput: change.supports_json_mode ?? known.structuredOutput,
  };
}

function toInput(known: readonly Modality[], { attachment, input_modalities }: CatalogChange): readonly Modality[] {
  if (attachment === false) return ["text"];
  if (input_modalities !== undefined) return [...new Set<Modality>(["text", ...input_modalities])];
  // Whoever says that a model takes attachments, and not which, has pictures in mind.
  return attachment === true && known.every((modality) => modality === "text") ? ["text", "image"] : known;
}
