import assert from "node:assert/strict";
import type { ModelDescriptor } from "#/core/model.ts";
import { applyChange, CatalogChange, CatalogOverlay, toPrice } from "#/provider/catalog_overlay.ts";

const KNOWN: ModelDescriptor = {
  id: "m",
  name: "M",
  contextTokens: 400_000,
  inputTokens: 272_000,
  outputTokens: 128_000,
  input: ["text"],
  output: ["text"],
  toolCall: true,
  reasoning: false,
  structuredOutput: false,
  price: { input: 1, output: 2 },
  source: "here",
};

Deno.test("CatalogOverlay takes the reference's file, and refuses a slip", () => {
  const reference = { overrides: {}, provider_defaults: { openai: { supports_streaming: true } } };
  assert.deepEqual(CatalogOverlay.parse(reference), reference);
  assert.deepEqual(CatalogOverlay.parse({}), { overrides: {}, provider_defaults: {} });
  assert.ok(!CatalogOverlay.safeParse({ overrides: { "a/b": { support_tools: false } } }).success);
  assert.ok(!CatalogChange.safeParse({ max_input_tokens: 0 }).success);
  assert.ok(!CatalogChange.safeParse({ cost: { input: -1, output: 0 } }).success);
});

Deno.test("applyChange() changes what is named and nothing else", () => {
  assert.deepEqual(applyChange(KNOWN, {}), KNOWN);
  const cases: readonly (readonly [CatalogChange, Partial<ModelDescriptor>])[] = [
    [{ supports_tools: false, supports_streaming: false }, { toolCall: false }],
    [{ supports_json_mode: true, supports_reasoning_traces: true }, { structuredOutput: true, reasoning: true }],
    [{ max_output_tokens: 10 }, { outputTokens: 10 }],
    [{ max_input_tokens: 500_000 }, { inputTokens: 500_000, contextTokens: 500_000 }],
    [{ max_input_tokens: 10 }, { inputTokens: 10 }],
    [{ attachment: true }, { input: ["text", "image"] }],
    [{ attachment: true, input_modalities: ["pdf", "text"] }, { input: ["text", "pdf"] }],
    [{ input_modalities: ["audio"] }, { input: ["text", "audio"] }],
    [{ cost: { input: 0, output: 0, cache_read: 0 } }, { price: { input: 0, output: 0, cacheRead: 0 } }],
  ];
  for (const [change, expected] of cases) {
    assert.deepEqual(applyChange(KNOWN, change), { ...KNOWN, ...expected }, JSON.stringify(change));
  }
  const seeing: ModelDescriptor = { ...KNOWN, input: ["text", "pdf"] };
  assert.deepEqual(applyChange(seeing, { attachment: true }).input, ["text", "pdf"]);
  assert.deepEqual(applyChange(seeing, { attachment: false, input_modalities: ["pdf"] }).input, ["text"]);
});

Deno.test("applyChange() with a smaller context forgets the vendor's bound on prompts", () => {
  const { inputTokens, contextTokens } = applyChange(KNOWN, { max_context_tokens: 8_192 });
  assert.deepEqual([inputTokens, contextTokens], [undefined, 8_192]);
});

Deno.test("toPrice() keeps what the cache costs, and what longer prompts cost, the smaller bound first", () => {
  assert.deepEqual(toPrice({ input: 1, output: 2 }), { input: 1, output: 2 });
  const tier = (size: number) => ({ input: size, output: 9, cache_write: 3, tier: { size } });
  assert.deepEqual(toPrice({ input: 1, output: 2, cache_read: 0.1, tiers: [tier(200), tier(100)] }), {
    input: 1,
    output: 2,
    cacheRead: 0.1,
    tiers: [
      { aboveTokens: 100, input: 100, output: 9, cacheWrite: 3 },
      { aboveTokens: 200, input: 200, output: 9, cacheWrite: 3 },
    ],
  });
});
