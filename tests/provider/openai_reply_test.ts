import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { Reply } from "#/provider/openai_reply.ts";

const REQUEST: ModelRequest = { model: "m", messages: [], tools: [], timeoutMs: 1_000 };
const chunk = (delta: unknown, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason }],
});

Deno.test("Reply turns chunks into events and ignores what vendors add", () => {
  const reply = new Reply(REQUEST, "acme");
  assert.deepEqual(reply.read({ ...chunk({ content: "a", extra: 1 }), system_fingerprint: "x" }), [{
    type: "text",
    text: "a",
  }]);
  assert.deepEqual(reply.read(chunk({ refusal: "no" })), [{ type: "text", text: "no" }]);
  assert.deepEqual(reply.read(chunk({ content: null, reasoning: "r" })), [{ type: "reasoning", text: "r" }]);
  for (
    const nothing of [{}, { choices: null }, { choices: [] }, { choices: [{}] }, chunk({ content: "" }), chunk(null)]
  ) {
    assert.deepEqual(reply.read(nothing), []);
  }
  assert.deepEqual(reply.read({ usage: { prompt_tokens: 3, completion_tokens: null } }), []);
  reply.read(chunk({}, "stop"));
  assert.deepEqual([...reply.finish(false)], [
    { type: "usage", usage: { promptTokens: 3 } },
    { type: "done", finishReason: "stop" },
  ]);
});

Deno.test("Reply takes a call whose head has no arguments yet", () => {
  const reply = new Reply(REQUEST, "acme");
  reply.read(chunk({ tool_calls: [{ index: 0, id: "c", function: { name: "file_list" } }] }));
  reply.read(chunk({ tool_calls: [{ index: 0, function: { arguments: '{"path":"/tmp"}' } }] }, "tool_calls"));
  const [event] = reply.finish(true);
  assert.deepEqual(event?.type === "tool_call" && event.call.arguments, '{"path":"/tmp"}');
});

Deno.test("Reply refuses what is no chunk", () => {
  for (const wrong of [5, "text", null, [], chunk({ content: 5 }), chunk({ tool_calls: {} }), { usage: "many" }]) {
    assert.throws(() => new Reply(REQUEST, "acme").read(wrong), JSON.stringify(wrong));
  }
});

Deno.test("Reply counts reasoning and text together, up to replyCharsMax", () => {
  const reply = new Reply(REQUEST, "acme");
  reply.read(chunk({ reasoning: "r".repeat(LIMITS.replyCharsMax / 2), content: "t".repeat(LIMITS.replyCharsMax / 2) }));
  assert.throws(() => reply.read(chunk({ content: "x" })), /longer than/);
});

Deno.test("Reply without a finish reason is interrupted unless the vendor marked the end", () => {
  const [only, ...rest] = new Reply(REQUEST, "acme").finish(false);
  assert.equal(only?.type === "failed" && only.code, "provider_interrupted");
  assert.deepEqual(rest, []);
  assert.deepEqual([...new Reply(REQUEST, "acme").finish(true)], [{ type: "done", finishReason: "stop" }]);
});

Deno.test("Reply gives the pictures that a vendor puts beside the text", () => {
  const images = [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
  assert.deepEqual(new Reply(REQUEST, "acme").read(chunk({ content: "Look:", images })), [
    { type: "text", text: "Look:" },
    { type: "media", media: { mimeType: "image/png", data: "AAAA" } },
  ]);
});
