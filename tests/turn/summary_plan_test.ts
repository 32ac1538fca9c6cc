import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import { planSummary, type SummaryPlanInput, toSummaryTokens } from "#/turn/summary_plan.ts";
import type { Measure } from "#/turn/tokens.ts";

/** Counts a message as 10 tokens. */
const MEASURE: Measure = {
  fixedTokens: 0,
  notesTokens: 0,
  tokensOf: () => 10,
  tokensMax: undefined,
  historyMax: undefined,
  toOwnTokens: (tokens) => tokens,
};

/** Messages from letters (`u`ser, `a`ssistant, `t`ool), each at twice its place. */
function toHistory(letters: string): HistoryMessage[] {
  return [...letters].map((letter, at): HistoryMessage => {
    const seq = 2 * (at + 1);
    if (letter === "u") return { seq, message: { role: "user", content: "u" } };
    if (letter === "a") return { seq, message: { role: "assistant", content: "a", toolCalls: [] } };
    return { seq, message: { role: "tool", toolCallId: "c", name: "t", content: "t", ok: true } };
  });
}

/** Letters of the replaced part; `window` holds 100 tokens, 20 of which a summary and what is kept beside it may take. */
function replaced(letters: string, changes: Partial<SummaryPlanInput> = {}, minTurns = 1): string | undefined {
  const settings = { triggerRatio: 0.85, targetRatio: 0.5, minTurns };
  const input = { history: toHistory(letters), measure: MEASURE, limitTokens: 100, settings, summary: undefined };
  const plan = planSummary({ ...input, ...changes });
  if (plan === undefined) return undefined;
  assert.equal(plan.toSeq, toHistory(letters)[plan.replaced.length]!.seq - 1);
  return letters.slice(0, plan.replaced.length);
}

Deno.test("planSummary() replaces whole turns until the target is met, beyond the trigger only", () => {
  const fixed = (fixedTokens: number, notesTokens = 0) => ({ measure: { ...MEASURE, fixedTokens, notesTokens } });
  const cases: readonly (readonly [string, Partial<SummaryPlanInput>, string | undefined])[] = [
    ["uauauau", {}, undefined],
    // 90 of 100: three messages stay, as 30 are left beside the summary.
    ["uauauauau", {}, "uauaua"],
    ["uauauau", fixed(15), undefined],
    ["uauauau", fixed(16), "uauaua"],
    // The former summary goes into the new one.
    ["uauauau", fixed(16, 16), "uaua"],
    ["uttttauatta", {}, "uttt" + "ta"],
    // Never the last user message, however much follows it.
    ["uauttttttttt", {}, "ua"],
    ["uttttttttttt", {}, undefined],
    // History that was cut off in the middle of a turn.
    ["ttauauauauau", {}, "ttauauaua"],
    ["tttttttttttt", {}, undefined],
    ["", {}, undefined],
  ];
  for (const [letters, changes, expected] of cases) assert.equal(replaced(letters, changes), expected, letters);
});

Deno.test("planSummary() replaces minTurns turns at least", () => {
  assert.equal(replaced("uauauauau", {}, 3), "uauaua");
  assert.equal(replaced("uauauauau", {}, 4), undefined);
});

Deno.test("planSummary() goes on from the former summary", () => {
  const history = toHistory("uauauauau");
  const settings = { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 1 };
  const input = { history, measure: MEASURE, limitTokens: 100, settings };
  const first = planSummary({ ...input, summary: undefined })!;
  assert.deepEqual([first.fromSeq, first.toSeq, first.epoch], [2, 13, 1]);
  const next = planSummary({ ...input, summary: { fromSeq: 1, toSeq: 1, text: "", epoch: 6 } })!;
  assert.deepEqual([next.fromSeq, next.toSeq, next.epoch], [1, 13, 7]);
});

Deno.test("toSummaryTokens() is a tenth of the window, at most summaryTokensMax", () => {
  assert.equal(toSummaryTokens(8_009), 800);
  assert.equal(toSummaryTokens(10 * LIMITS.summaryTokensMax), LIMITS.summaryTokensMax);
  assert.equal(toSummaryTokens(1_000_000), LIMITS.summaryTokensMax);
});
