import type { ModelRequest, ReasoningEffort } from "#/core/provider.ts";

/** Claude 4.6 and later decide themselves how much to think and take an effort; earlier ones, and others that speak the protocol, take a number of tokens. */
const ADAPTIVE = /claude-(?:mythos|[a-z]+-(?:4[-.][6-9]|[5-9]|\d\d)(?!\d))/;
const ALWAYS_THINKS = /claude-(?:mythos|fable|opus-5[-.]5)/;
/** Its least is to think between calls only. */
const THINKS_BETWEEN_TOOLS = /claude-sonnet-5[-.]5/;

const BUDGET_TOKENS: Readonly<Record<Exclude<ReasoningEffort, "none">, number>> = {
  low: 2_048,
  medium: 8_192,
  high: 24_576,
};
/** The API takes no smaller budget. */
const BUDGET_TOKENS_MIN = 1_024;

/** What a request says about thinking. */
export interface ThinkingSettings {
  readonly thinking?: Readonly<Record<string, unknown>>;
  /** Goes into `output_config`. */
  readonly effort?: string;
}

/**
 * How an effort is said to this model (platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting: which takes what, the rest is
 * a 400). Nothing for a model that does not think, and nothing when nobody asked: then the vendor's default holds. A budget leaves a quarter
 * of `maxTokens` for the answer. With a budget, a reply that the vendor made without a thought cannot be gone on from with one. Pure.
 */
export function toThinking(
  { model, descriptor, reasoning }: Pick<ModelRequest, "model" | "descriptor" | "reasoning">,
  { maxTokens, isThoughtless }: { readonly maxTokens: number; readonly isThoughtless: boolean },
): ThinkingSettings {
  if (reasoning === undefined || descriptor?.reasoning === false) return {};
  if (reasoning === "none") {
    if (ALWAYS_THINKS.test(model)) return { effort: "low" };
    return { thinking: { type: THINKS_BETWEEN_TOOLS.test(model) ? "between_tools" : "disabled" } };
  }
  // Unasked, newer models keep the text of their thoughts to themselves.
  if (ADAPTIVE.test(model)) return { thinking: { type: "adaptive", display: "summarized" }, effort: reasoning };
  const budget = Math.min(BUDGET_TOKENS[reasoning], Math.floor(maxTokens * 0.75));
  return isThoughtless || budget < BUDGET_TOKENS_MIN ? {} : { thinking: { type: "enabled", budget_tokens: budget } };
}
