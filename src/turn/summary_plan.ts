import { LIMITS } from "#/core/limits.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import type { Summary } from "#/turn/notes.ts";
import type { Measure } from "#/turn/tokens.ts";

/** When a conversation is summarised, from `[runtime.context_budget]` and `[runtime.summarization]`. */
export interface SummarySettings {
  /** Share of the usable window (0 to 1) beyond which what stands in it is summarised. */
  readonly triggerRatio: number;
  /** Share of it that is filled afterwards: the newest turns stay word for word. */
  readonly targetRatio: number;
  /** Turns that a summary replaces at least. */
  readonly minTurns: number;
}

/** What a call would be shown, measured exactly. `history` holds what `summary` does not stand for. */
export interface SummaryPlanInput {
  readonly history: readonly HistoryMessage[];
  readonly measure: Measure;
  readonly limitTokens: number;
  readonly settings: SummarySettings;
  readonly summary: Summary | undefined;
}

/** What the next summary stands for. */
export interface SummaryPlan {
  /** Whole turns, the oldest first; the former summary stands before them. */
  readonly replaced: readonly HistoryMessage[];
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly epoch: number;
}

/** Tokens of the summary that a model is asked for. */
export function toSummaryTokens(limitTokens: number): number {
  return Math.min(LIMITS.summaryTokensMax, Math.floor(limitTokens / 10));
}

/**
 * The oldest whole turns, so many that what is left is at most the target, with room for a summary and what is kept beside it; never the last
 * user message or what follows it. Undefined while everything is within the trigger, or fewer than `minTurns` turns would go. Pure.
 */
export function planSummary(input: SummaryPlanInput): SummaryPlan | undefined {
  const { history, measure, limitTokens, settings: { triggerRatio, targetRatio, minTurns }, summary } = input;
  const total = history.reduce((sum, entry) => sum + measure.tokensOf(entry), measure.fixedTokens);
  if (total <= triggerRatio * limitTokens) return undefined;
  const starts = history.flatMap(({ message }, at) => message.role === "user" ? [at] : []);
  const bound = targetRatio * limitTokens - 2 * toSummaryTokens(limitTokens);
  // The former summary goes into the new one.
  let kept = measure.fixedTokens - measure.notesTokens;
  let cut = history.length;
  for (const [nth, start] of starts.toReversed().entries()) {
    for (const entry of history.slice(start, cut)) kept += measure.tokensOf(entry);
    if (nth > 0 && kept > bound) break;
    cut = start;
  }
  const replaced = starts.length === 0 ? [] : history.slice(0, cut);
  if (replaced.filter(({ message }) => message.role === "user").length < minTurns) return undefined;
  return {
    replaced,
    fromSeq: summary?.fromSeq ?? replaced[0]!.seq,
    toSeq: history[cut]!.seq - 1,
    epoch: (summary?.epoch ?? 0) + 1,
  };
}
