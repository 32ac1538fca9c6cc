import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { RestartBudget } from "#/runner/restart_budget.ts";

Deno.test("RestartBudget replaces the first guest at once, waits longer each time, and gives up at guestCrashesMax", () => {
  let now = 1_000;
  const budget = new RestartBudget({ now: () => now, random: () => 0.5 });
  const waits = Array.from({ length: LIMITS.guestCrashesMax }, () => budget.spend());
  assert.deepEqual(waits, [0, 150, 300, 600, 1_200]);
  assert.equal(budget.spend(), undefined);
  now += LIMITS.guestCrashWindowMs - 1;
  assert.equal(budget.spend(), undefined);
  now += 1;
  assert.equal(budget.spend(), 0, "what lies behind the window is forgotten");
});

Deno.test("RestartBudget waits half by chance, and never longer than guestBackoffMaxMs", () => {
  for (const [chance, share] of [[0, 0.5], [0.999_999, 1]] as const) {
    const budget = new RestartBudget({ now: () => 0, random: () => chance });
    budget.spend();
    assert.equal(Math.round(budget.spend()!), LIMITS.guestBackoffBaseMs * share);
    for (let wait = budget.spend(); wait !== undefined; wait = budget.spend()) {
      assert.ok(wait <= LIMITS.guestBackoffMaxMs);
    }
  }
});
