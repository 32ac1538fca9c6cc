import assert from "node:assert/strict";
import { estimateMessageTokens, estimateTokens, estimateToolTokens } from "#/turn/tokens.ts";

Deno.test("estimateTokens() counts four characters a token, rounded up", () => {
  assert.deepEqual(["", "a", "abcd", "abcde"].map(estimateTokens), [0, 1, 1, 2]);
});

Deno.test("estimateMessageTokens() counts calls and attachments", () => {
  assert.equal(estimateMessageTokens({ role: "user", content: "abcd" }), 5);
  const media = { mimeType: "image/png", data: "x".repeat(1_000_000) };
  assert.equal(estimateMessageTokens({ role: "user", content: "abcd", attachments: [media] }), 1_505);
  const call = { id: "c", name: "abcd", arguments: "abcd" };
  assert.equal(estimateMessageTokens({ role: "assistant", content: "", toolCalls: [call, call] }), 16);
});

Deno.test("estimateToolTokens() counts schemas as they travel", () => {
  assert.equal(estimateToolTokens([]), 0);
  assert.ok(estimateToolTokens([{ name: "a", description: "b", parameters: {} }]) > 8);
});
