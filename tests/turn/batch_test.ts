import assert from "node:assert/strict";
import type { ToolEffect } from "#/core/tool.ts";
import { planBatches } from "#/turn/batch.ts";

const EFFECTS: Readonly<Record<string, ToolEffect>> = { r: "read_only", w: "side_effecting", p: "privileged" };

function plan(calls: string, parallelMax = 8): string {
  const list = [...calls].map((letter) => ({ letter, effect: EFFECTS[letter]! }));
  return planBatches(list, parallelMax).map((batch) => batch.map((call) => call.letter).join("")).join(" ");
}

Deno.test("planBatches() keeps a write alone and adjacent reads together, in order", () => {
  const cases: readonly [string, string][] = [
    ["", ""],
    ["r", "r"],
    ["rrr", "rrr"],
    ["w", "w"],
    ["ww", "w w"],
    ["rrwrr", "rr w rr"],
    ["wrp", "w r p"],
    ["rwrwr", "r w r w r"],
    ["rrpprr", "rr p p rr"],
  ];
  for (const [calls, expected] of cases) assert.equal(plan(calls), expected, calls);
});

Deno.test("planBatches() cuts a run of reads at the limit", () => {
  assert.equal(plan("rrrrrrr", 3), "rrr rrr r");
  assert.equal(plan("rrr", 3), "rrr");
  assert.equal(plan("rr", 1), "r r");
});
