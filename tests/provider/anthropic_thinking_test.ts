import assert from "node:assert/strict";
import type { ModelRequest, ReasoningEffort } from "#/core/provider.ts";
import { toThinking } from "#/provider/anthropic_thinking.ts";

function think(model: string, reasoning?: ReasoningEffort, maxTokens = 64_000, isThoughtless = false) {
  return toThinking({ model, ...(reasoning === undefined ? {} : { reasoning }) }, { maxTokens, isThoughtless });
}

const budget = (tokens: number) => ({ thinking: { type: "enabled", budget_tokens: tokens } });
const adaptive = (effort: string) => ({ thinking: { type: "adaptive", display: "summarized" }, effort });

Deno.test("toThinking() gives an effort to the models that take one, a budget to the others", () => {
  const takesEffort = [
    "claude-opus-4-6",
    "claude-sonnet-4.6",
    "anthropic.claude-opus-4-7-v1:0",
    "claude-opus-4-8",
    "claude-sonnet-5",
    "claude-opus-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-1",
    "claude-mythos-preview",
    "claude-opus-6",
    "claude-opus-12",
  ];
  for (const model of takesEffort) assert.deepEqual(think(model, "medium"), adaptive("medium"), model);
  const takesBudget = [
    "claude-3-7-sonnet-20250219",
    "claude-3-5-haiku-latest",
    "claude-sonnet-4-20250514",
    "claude-opus-4-1-20250805",
    "claude-opus-4-1@20250805",
    "claude-haiku-4-5",
    "claude-sonnet-4-5-20250929",
    "kimi-k2-thinking",
  ];
  for (const model of takesBudget) assert.deepEqual(think(model, "medium"), budget(8_192), model);
  assert.deepEqual([think("x", "low"), think("x", "high")], [budget(2_048), budget(24_576)]);
  assert.deepEqual([think("claude-opus-5", "low"), think("claude-opus-5", "high")], [
    adaptive("low"),
    adaptive("high"),
  ]);
});

Deno.test("toThinking() leaves a quarter of the reply for the answer, and is silent where no budget fits", () => {
  assert.deepEqual(think("x", "high", 8_192), budget(6_144));
  assert.deepEqual(think("x", "low", 1_366), budget(1_024));
  assert.deepEqual(think("x", "low", 1_365), {});
  assert.deepEqual(think("x", "low", 64_000, true), {});
  assert.deepEqual(think("claude-opus-5", "low", 64_000, true), adaptive("low"));
});

Deno.test("toThinking() thinks as little as the model can be asked for", () => {
  for (const model of ["claude-haiku-4-5", "claude-opus-4-6", "claude-opus-5", "claude-haiku-5-5", "x"]) {
    assert.deepEqual(think(model, "none"), { thinking: { type: "disabled" } }, model);
  }
  assert.deepEqual(think("claude-sonnet-5-5", "none"), { thinking: { type: "between_tools" } });
  for (const model of ["claude-opus-5-5", "claude-fable-5", "claude-mythos-5-1"]) {
    assert.deepEqual(think(model, "none"), { effort: "low" }, model);
  }
});

Deno.test("toThinking() says nothing when nobody asked, or the model does not think", () => {
  assert.deepEqual(think("claude-opus-5"), {});
  const descriptor = { reasoning: false } as ModelRequest["descriptor"] & object;
  for (const reasoning of ["none", "high"] as const) {
    assert.deepEqual(
      toThinking({ model: "x", descriptor, reasoning }, { maxTokens: 64_000, isThoughtless: false }),
      {},
    );
  }
});
