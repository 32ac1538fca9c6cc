import assert from "node:assert/strict";
import { toDemoDescriptor, toPromptTokens, toSyntheticDescriptor } from "#/provider/descriptor.ts";

Deno.test("toSyntheticDescriptor() gives an unknown model tools and no price, and one of images no tools", () => {
  const { price, ...known } = toSyntheticDescriptor("llama3", 128_000);
  assert.equal(price, undefined);
  assert.deepEqual([known.contextTokens, known.outputTokens, known.toolCall, known.input, known.output, known.source], [
    128_000,
    16_384,
    true,
    ["text"],
    ["text"],
    "synthetic",
  ]);
  const image = toSyntheticDescriptor("x/Nano-IMAGE-9", 8_000);
  assert.deepEqual([image.toolCall, image.input, image.output], [false, ["text", "image"], ["text", "image"]]);
});

Deno.test("toDemoDescriptor() costs nothing", () => {
  assert.deepEqual(toDemoDescriptor("demo", 1_000).price, { input: 0, output: 0 });
});

Deno.test("toPromptTokens() leaves room for a whole reply, and never less than half of the context", () => {
  const model = toSyntheticDescriptor("m", 128_000);
  assert.equal(toPromptTokens(model), 128_000 - 16_384);
  assert.equal(toPromptTokens({ ...model, contextTokens: 8_192, outputTokens: 8_192 }), 4_096);
  assert.equal(
    toPromptTokens({ ...model, contextTokens: 400_000, inputTokens: 272_000, outputTokens: 128_000 }),
    272_000,
  );
  assert.equal(toPromptTokens({ ...model, contextTokens: 8_000, inputTokens: 272_000 }), 8_000);
});
