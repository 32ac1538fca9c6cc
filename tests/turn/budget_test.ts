import assert from "node:assert/strict";
import { findSpentBudget, toSpentAgain, toTokens } from "#/turn/budget.ts";

const BUDGETS = { stepsMax: 3, toolCallsMax: 9, tokensMax: 100, timeoutMs: 1 };

Deno.test("findSpentBudget() names the budget that forbids another model call", () => {
  const cases: readonly [Parameters<typeof findSpentBudget>, string | undefined][] = [
    [[{ steps: 0, tokens: 0 }, BUDGETS], undefined],
    [[{ steps: 2, tokens: 99 }, BUDGETS], undefined],
    [[{ steps: 3, tokens: 0 }, BUDGETS], "turns"],
    [[{ steps: 1, tokens: 100 }, BUDGETS], "tokens"],
  ];
  for (const [[spent, budgets], kind] of cases) assert.equal(findSpentBudget(spent, budgets)?.kind, kind);
});

Deno.test("toTokens() believes the vendor's total, then its parts, then the estimate", () => {
  assert.equal(toTokens({ totalTokens: 5, promptTokens: 9 }, 1), 5);
  assert.equal(toTokens({ promptTokens: 9, completionTokens: 2 }, 1), 11);
  assert.equal(toTokens({ completionTokens: 2 }, 1), 2);
  assert.equal(toTokens({}, 7), 7);
});

Deno.test("toSpentAgain() says what a recorded budget event meant, also one of a later version", () => {
  assert.deepEqual(toSpentAgain({ kind: "turns", used: 3, limit: 3 }), {
    kind: "turns",
    used: 3,
    limit: 3,
    code: "budget_turns",
    message: "Stopped after 3 of 3 (turns)",
  });
  assert.equal(toSpentAgain({ kind: "egress" as "cost", used: 1, limit: 1 }).code, "budget_exceeded");
});
