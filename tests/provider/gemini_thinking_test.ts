import assert from "node:assert/strict";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ReasoningEffort } from "#/core/provider.ts";
import { toGeminiThinking } from "#/provider/gemini_thinking.ts";

const EFFORTS: readonly ReasoningEffort[] = ["none", "low", "medium", "high"];
const thinks = (reasoning: boolean) => ({ reasoning } as ModelDescriptor);
const say = (model: string) =>
  EFFORTS.map((reasoning) => {
    const { includeThoughts, thinkingBudget, thinkingLevel } = toGeminiThinking({ model, reasoning }) ?? {};
    assert.equal(includeThoughts, reasoning !== "none");
    return thinkingBudget ?? thinkingLevel;
  });

Deno.test("toGeminiThinking() says an effort in the words of the model, and never in two", () => {
  assert.deepEqual(say("gemini-2.5-flash"), [0, 1_024, 8_192, 24_576]);
  assert.deepEqual(say("gemini-2.5-pro"), [128, 1_024, 8_192, 24_576]);
  assert.deepEqual(say("gemini-3.8-flash"), ["MINIMAL", "LOW", "MEDIUM", "HIGH"]);
  assert.deepEqual(say("gemini-3.1-pro-preview"), ["LOW", "LOW", "MEDIUM", "HIGH"]);
});

Deno.test("toGeminiThinking() shows the thoughts of a model that thinks, and asks nothing of one that may not", () => {
  const model = "gemini-2.5-flash";
  assert.deepEqual(toGeminiThinking({ model, descriptor: thinks(true) }), { includeThoughts: true });
  assert.equal(toGeminiThinking({ model }), undefined);
  assert.equal(toGeminiThinking({ model, descriptor: thinks(false) }), undefined);
  assert.equal(toGeminiThinking({ model, descriptor: thinks(false), reasoning: "high" }), undefined);
  const draws = { model: "gemini-2.5-flash-image", descriptor: thinks(true) };
  assert.equal(toGeminiThinking(draws), undefined);
  assert.deepEqual(toGeminiThinking({ ...draws, model: "gemini-3-pro-image" }), { includeThoughts: true });
});
