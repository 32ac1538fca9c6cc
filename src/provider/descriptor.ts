import type { Modality, ModelDescriptor } from "#/core/model.ts";

/** Reply of a model that nothing is known about (SPEC §2), in tokens. */
export const OUTPUT_TOKENS = 16_384;
/** Context of a model that nothing is known about, in tokens. */
export const CONTEXT_TOKENS = 128_000;

/** A model that no catalog has (SPEC §2): it has tools, unless its id says that it makes images. Its price is not known. */
export function toSyntheticDescriptor(id: string, contextTokens: number): ModelDescriptor {
  const isImage = id.toLowerCase().includes("image");
  const modalities: readonly Modality[] = isImage ? ["text", "image"] : ["text"];
  return {
    id,
    name: id,
    contextTokens,
    outputTokens: OUTPUT_TOKENS,
    input: modalities,
    output: modalities,
    toolCall: !isImage,
    reasoning: false,
    structuredOutput: false,
    source: "synthetic",
  };
}

/** The demo, which costs nothing. */
export function toDemoDescriptor(id: string, contextTokens: number): ModelDescriptor {
  return { ...toSyntheticDescriptor(id, contextTokens), price: { input: 0, output: 0 }, source: "built in" };
}

/** Tokens that a prompt may have: the vendor's bound on prompts, else what a whole reply leaves of the context, and at least half of it. */
export function toPromptTokens({ contextTokens, inputTokens, outputTokens }: ModelDescriptor): number {
  const reply = Math.min(outputTokens, Math.floor(contextTokens / 2));
  return Math.min(inputTokens ?? contextTokens - reply, contextTokens);
}
