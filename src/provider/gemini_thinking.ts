import type { ModelRequest, ReasoningEffort } from "#/core/provider.ts";

/** Gemini 2.5 takes a number of tokens, later ones a word, and either refuses the other's. */
const TAKES_TOKENS = /gemini-2\b/;
/** Catalogs say that these think; the API answers 400. */
const NEVER_THINKS = /gemini-2\b.*(image|tts)/;
/** The larger models always think; this is their least. */
const ALWAYS_THINKS = /\bpro\b/;
const LEAST_TOKENS = 128;

/** As Google itself translates an effort: ai.google.dev/gemini-api/docs/openai. */
const TOKENS: Readonly<Record<ReasoningEffort, number>> = { none: 0, low: 1_024, medium: 8_192, high: 24_576 };
const LEVELS: Readonly<Record<ReasoningEffort, string>> = {
  none: "MINIMAL",
  low: "LOW",
  medium: "MEDIUM",
  high: "HIGH",
};

/**
 * `thinkingConfig` of a request, or undefined for a model that does not think or of which nobody knows: it would refuse any. Unasked, a
 * thinking model thinks as it likes and shows it. Pure. Facts: ai.google.dev/gemini-api/docs/thinking.
 */
export function toGeminiThinking(
  { model, descriptor, reasoning }: Pick<ModelRequest, "model" | "descriptor" | "reasoning">,
): Readonly<Record<string, unknown>> | undefined {
  if (NEVER_THINKS.test(model) || descriptor?.reasoning === false || (reasoning ?? descriptor) === undefined) {
    return undefined;
  }
  const shown = { includeThoughts: reasoning !== "none" };
  if (reasoning === undefined) return shown;
  const isLeast = reasoning === "none" && ALWAYS_THINKS.test(model);
  if (TAKES_TOKENS.test(model)) return { ...shown, thinkingBudget: isLeast ? LEAST_TOKENS : TOKENS[reasoning] };
  return { ...shown, thinkingLevel: isLeast ? LEVELS.low : LEVELS[reasoning] };
}
