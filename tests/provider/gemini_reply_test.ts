import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { GeminiReply } from "#/provider/gemini_reply.ts";

const REQUEST: ModelRequest = { model: "gemini-x", messages: [], tools: [], timeoutMs: 1_000 };
const chunk = (parts: readonly unknown[], finishReason?: string) => ({
  candidates: [{ content: { parts, role: "model" }, ...(finishReason ? { finishReason } : {}), index: 0 }],
});
const text = (content: string, more = {}) => ({ text: content, ...more });
const call = (name: string, args?: unknown, more = {}) => ({ functionCall: { name, args }, ...more });

/** Events of the last chunk, and of the end. */
function say(chunks: readonly unknown[], { ended = false, request = REQUEST } = {}): ModelEvent[] {
  const reply = new GeminiReply(request, "acme");
  return [...chunks.flatMap((value) => reply.read(value)), ...reply.finish(ended)];
}
const lastOf = (...chunks: readonly unknown[]) => say(chunks).at(-1);

Deno.test("GeminiReply tells thoughts from text, and leaves out what it does not know", () => {
  const events = say([
    chunk([text("Hm.", { thought: true }), text("Hel"), text("lo")]),
    {},
    { candidates: null },
    { candidates: [{}] },
    chunk([text(""), { executableCode: { code: "1" } }]),
    { candidates: [{ index: 1, content: { parts: [text("another")] }, finishReason: "MAX_TOKENS" }] },
    chunk([], "STOP"),
  ]);
  assert.deepEqual(events, [
    { type: "reasoning", text: "Hm." },
    { type: "text", text: "Hel" },
    { type: "text", text: "lo" },
    { type: "done", finishReason: "stop" },
  ]);
});

Deno.test("GeminiReply yields each call whole, with an id of its own and the signature that it came with", () => {
  const messages = [{
    role: "assistant" as const,
    content: "",
    toolCalls: [{ id: "used", name: "a", arguments: "{}" }],
  }];
  const events = say([
    chunk([call("file_read", { path: "/a" }, { thoughtSignature: "c2ln" }), call("file_read", { path: "/b" })]),
    chunk([{ functionCall: { id: "fc-1", name: "stop" } }, { functionCall: { id: "used", name: "odd", args: "{" } }]),
    chunk([], "STOP"),
  ], { request: { ...REQUEST, messages } });
  const calls = events.flatMap((event) => event.type === "tool_call" ? [event.call] : []);
  assert.deepEqual(calls.map(({ name, arguments: args }) => [name, args]), [
    ["file_read", '{"path":"/a"}'],
    ["file_read", '{"path":"/b"}'],
    ["stop", "{}"],
    ["odd", "{"],
  ]);
  assert.equal(calls[2]!.id, "fc-1");
  assert.deepEqual([new Set(calls.map(({ id }) => id)).size, calls.some(({ id }) => id === "used")], [4, false]);
  assert.deepEqual(calls.map(({ metadata }) => metadata), [
    { provider: "acme", model: "gemini-x", thoughtSignature: "c2ln" },
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(events.at(-1), { type: "done", finishReason: "tool_calls" });
});

Deno.test("GeminiReply keeps where a signed text stood, whether it holds text or none", () => {
  const replayOf = (chunks: readonly unknown[]) =>
    say(chunks).flatMap((event) => event.type === "replay" ? [event.replay] : []);
  assert.deepEqual(
    replayOf([chunk([text("Hello ")]), chunk([text("you", { thoughtSignature: "a" })]), chunk([text("!")], "STOP")]),
    [{ provider: "acme", model: "gemini-x", data: { thoughtSignature: "a", from: 6, to: 9 } }],
  );
  assert.deepEqual(
    replayOf([chunk([text("Hm", { thought: true })]), chunk([text("Hi"), text("", { thoughtSignature: "b" })], "STOP")])
      .map(({ data }) => data),
    [{ thoughtSignature: "b", from: 2, to: 2 }],
  );
  assert.deepEqual(replayOf([chunk([text("Hi")], "STOP")]), []);
});

Deno.test("GeminiReply yields pictures, but not the drafts among its thoughts", () => {
  const picture = { inlineData: { mimeType: "image/png", data: "AAAA" } };
  const events = say([chunk([{ ...picture, thought: true }]), chunk([picture], "STOP")]);
  assert.deepEqual(events, [
    { type: "media", media: { mimeType: "image/png", data: "AAAA" } },
    { type: "done", finishReason: "stop" },
  ]);
  const broken = { inlineData: { mimeType: "image/png", data: "no-base64!" } };
  assert.throws(() => new GeminiReply(REQUEST, "acme").read(chunk([broken])), /not base64/);
});

Deno.test("GeminiReply counts as the other providers do: the prompt with its cache, the reply with its thoughts", () => {
  const usageOf = (...counts: readonly unknown[]) =>
    say([...counts.map((usageMetadata) => ({ usageMetadata })), chunk([text("x")], "STOP")])
      .flatMap((event) => event.type === "usage" ? [event.usage] : []);
  assert.deepEqual(
    usageOf({ promptTokenCount: 90, candidatesTokenCount: 1 }, {
      promptTokenCount: 100,
      toolUsePromptTokenCount: 5,
      candidatesTokenCount: 20,
      thoughtsTokenCount: 30,
      cachedContentTokenCount: 60,
      totalTokenCount: 155,
      trafficType: "ON_DEMAND",
    }),
    [{ promptTokens: 105, completionTokens: 50, cachedTokens: 60, reasoningTokens: 30, totalTokens: 155 }],
  );
  assert.deepEqual(usageOf({ promptTokenCount: 7 }), [{ promptTokens: 7 }]);
  assert.deepEqual(usageOf(), []);
});

Deno.test("GeminiReply names how a reply ended as the other providers do", () => {
  const finishOf = (reason: string) => lastOf(chunk([text("Hi")], reason));
  const table = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "content_filter", IMAGE_SAFETY: "content_filter" };
  for (const [reason, finishReason] of Object.entries(table)) {
    assert.deepEqual(finishOf(reason), { type: "done", finishReason });
  }
  for (const reason of ["RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"]) {
    assert.deepEqual(finishOf(reason), { type: "done", finishReason: "content_filter" });
  }
  assert.deepEqual(finishOf("TOO_MANY_TOOL_CALLS"), { type: "done", finishReason: "too_many_tool_calls" });
  assert.deepEqual(lastOf(chunk([call("a")], "MAX_TOKENS")), { type: "done", finishReason: "length" });
  assert.deepEqual(lastOf(chunk([], "MAX_TOKENS")), { type: "done", finishReason: "length" });
  assert.deepEqual(lastOf(chunk([], "STOP")), { type: "done", finishReason: "stop" });
});

Deno.test("GeminiReply says what was blocked when nothing was said", () => {
  const failedOf = (...chunks: readonly unknown[]) => {
    const last = lastOf(...chunks);
    assert.ok(last?.type === "failed", JSON.stringify(last));
    return [last.code, last.retryable, last.message] as const;
  };
  const table: readonly (readonly [chunk: unknown, says: RegExp])[] = [
    [chunk([], "SAFETY"), /acme blocked its answer \(SAFETY\)\. Ask in other words, or choose another model/],
    [chunk([], "NO_IMAGE"), /ended without an answer \(NO_IMAGE\)/],
    [{ promptFeedback: { blockReason: "PROHIBITED_CONTENT" } }, /blocked the prompt \(PROHIBITED_CONTENT\)/],
  ];
  for (const [value, says] of table) {
    const [code, retryable, message] = failedOf(value);
    assert.deepEqual([code, retryable], ["provider_rejected", false]);
    assert.match(message, says);
  }
  const [code, retryable, message] = failedOf(chunk([text("I call")]), chunk([], "MALFORMED_FUNCTION_CALL"));
  assert.deepEqual([code, retryable], ["provider_protocol", true]);
  assert.match(message, /MALFORMED_FUNCTION_CALL/);
});

Deno.test("GeminiReply is complete at its finish reason or its block, and interrupted without", () => {
  const reply = new GeminiReply(REQUEST, "acme");
  reply.read(chunk([text("Hi")]));
  assert.equal(reply.isComplete, false);
  const [only, ...rest] = reply.finish(false);
  assert.deepEqual([only?.type === "failed" && only.code, rest], ["provider_interrupted", []]);
  reply.read(chunk([], "STOP"));
  assert.equal(reply.isComplete, true);
  const blocked = new GeminiReply(REQUEST, "acme");
  blocked.read({ promptFeedback: { blockReason: "SAFETY" } });
  assert.equal(blocked.isComplete, true);
  assert.equal([...blocked.finish(true)][0]?.type, "failed");
  assert.deepEqual(say([chunk([text("Hi")])], { ended: true }).at(-1), { type: "done", finishReason: "stop" });
});

Deno.test("GeminiReply refuses what is no chunk, and ends at its bounds", () => {
  for (const wrong of [5, "text", null, [], { candidates: {} }, chunk([{ text: 5 }]), { usageMetadata: "many" }]) {
    assert.throws(() => new GeminiReply(REQUEST, "acme").read(wrong), JSON.stringify(wrong));
  }
  const long = "x".repeat(LIMITS.replyCharsMax / 2);
  const reply = new GeminiReply(REQUEST, "acme");
  reply.read(chunk([text(long), text(long, { thought: true })]));
  assert.throws(() => reply.read(chunk([text("y")])), /longer than/);
  const calls = Array.from({ length: LIMITS.replyToolCallsMax + 1 }, () => call("a"));
  new GeminiReply(REQUEST, "acme").read(chunk(calls.slice(1)));
  assert.throws(() => new GeminiReply(REQUEST, "acme").read(chunk(calls)), /tool calls/);
});
