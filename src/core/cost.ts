import { LIMITS } from "#/core/limits.ts";
import type { Usage } from "#/core/message.ts";
import type { ModelPrice } from "#/core/model.ts";

/** A day of caps and of `usage`, in ms. It begins at 00:00 UTC, as vendors' bills do: no change of a time zone makes one longer. */
export const DAY_MS = 86_400_000;

/** The day of an instant (integer ms UTC), in days since 1970. */
export function toDay(at: number): number {
  return Math.floor(at / DAY_MS);
}

const COUNTS = [
  "promptTokens",
  "completionTokens",
  "cachedTokens",
  "cacheWriteTokens",
  "reasoningTokens",
  "totalTokens",
] as const satisfies readonly (keyof Usage)[];

/** Adds the counts that either side has. */
export function addUsage(sum: Usage, more: Usage): Usage {
  const out: { -readonly [K in keyof Usage]: Usage[K] } = {};
  for (const name of COUNTS) {
    if (sum[name] !== undefined || more[name] !== undefined) out[name] = (sum[name] ?? 0) + (more[name] ?? 0);
  }
  return out;
}

/** A vendor's counts as whole numbers from 0 to `callTokensMax`; one that is no number, or below 0, counts as not said. */
export function toSaneUsage(usage: Usage): Usage {
  const counts = COUNTS.flatMap((name) => {
    const count = usage[name];
    if (typeof count !== "number" || !(count >= 0)) return [];
    return [[name, Math.min(Math.round(count), LIMITS.callTokensMax)]];
  });
  return Object.fromEntries(counts);
}

/** Tokens of one call. */
export interface CallTokens {
  readonly input: number;
  readonly output: number;
}

/** What a call costs, in US dollars; an estimate when the vendor left tokens out. */
export interface PaidCost {
  readonly cost: number;
  readonly isEstimate: boolean;
}

/** What a call is paid for: the vendor's counts, and `own` ones for what it did not say. Pure. */
export function toPaidTokens(usage: Usage, own: CallTokens): CallTokens & { readonly isEstimate: boolean } {
  const { promptTokens: input = own.input, completionTokens: output = own.output } = usage;
  const isSaid = usage.promptTokens !== undefined && usage.completionTokens !== undefined;
  return { input, output, isEstimate: !isSaid && own.input > 0 };
}

/**
 * US dollars of one call. Cached tokens and those written into the cache are part of the input; where a price has no row for them they
 * cost what input costs. Thoughts are part of the output. A prompt beyond a tier's bound makes all of the call dearer. Pure.
 */
export function toCost(tokens: CallTokens, usage: Usage, price: ModelPrice): number {
  const cached = Math.min(usage.cachedTokens ?? 0, tokens.input);
  const written = Math.min(usage.cacheWriteTokens ?? 0, tokens.input - cached);
  const fresh = tokens.input - cached - written;
  const rates = price.tiers?.findLast(({ aboveTokens }) => tokens.input > aboveTokens) ?? price;
  const { input, output, cacheRead = input, cacheWrite = input } = rates;
  return (fresh * input + cached * cacheRead + written * cacheWrite + tokens.output * output) / 1_000_000;
}
