import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { Layout, MessageReply } from "#/provider/anthropic_reply.ts";

function open(messages: readonly Message[] = []): MessageReply {
  return new MessageReply({ model: "m", messages, tools: [], timeoutMs: 1_000 }, "acme");
}

/** What a reader makes of these values, its end included. */
function read(values: readonly unknown[], reader = open(), ended = false): ModelEvent[] {
  return [...values.flatMap((value) => reader.read(value)), ...reader.finish(ended)];
}

const start = (index: number, content_block: object) => ({ type: "content_block_start", index, content_block });
const delta = (index: number, delta: object) => ({ type: "content_block_delta", index, delta });
const json = (index: number, partial_json: string) => delta(index, { type: "input_json_delta", partial_json });
const stop = (stop_reason: string | null, more: object = {}) => ({
  type: "message_delta",
  delta: { stop_reason },
  ...more,
});
const END = [stop("end_turn"), { type: "message_stop" }];
const DONE = { type: "done", finishReason: "stop" };

Deno.test("MessageReply reads text, thoughts, calls and counts", () => {
  const usage = { input_tokens: 10, cache_read_input_tokens: 200, cache_creation_input_tokens: 30, output_tokens: 1 };
  assert.deepEqual(
    read([
      { type: "message_start", message: { id: "msg", usage } },
      { type: "ping" },
      start(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "hm" }),
      delta(0, { type: "thinking_delta", thinking: "…" }),
      delta(0, { type: "signature_delta", signature: "sig" }),
      { type: "content_block_stop", index: 0 },
      start(1, { type: "redacted_thinking", data: "zzz" }),
      start(2, { type: "text", text: "A" }),
      delta(2, { type: "text_delta", text: "b" }),
      delta(2, { type: "citations_delta", citation: { type: "char_location" } }),
      start(3, { type: "tool_use", id: "toolu_1", name: "file_read", input: {} }),
      json(3, ""),
      json(3, '{"path":'),
      json(3, '"/shared/a"}'),
      stop("tool_use", { usage: { output_tokens: 40, output_tokens_details: { thinking_tokens: 7 } } }),
      { type: "message_stop" },
    ]),
    [
      { type: "reasoning", text: "hm" },
      { type: "reasoning", text: "…" },
      { type: "text", text: "A" },
      { type: "text", text: "b" },
      { type: "tool_call", call: { id: "toolu_1", name: "file_read", arguments: '{"path":"/shared/a"}' } },
      {
        type: "replay",
        replay: {
          provider: "acme",
          model: "m",
          data: [
            { type: "thinking", thinking: "hm…", signature: "sig" },
            { type: "redacted_thinking", data: "zzz" },
            { type: "text", chars: 2 },
            { type: "tool_use" },
          ],
        },
      },
      {
        type: "usage",
        usage: {
          promptTokens: 240,
          completionTokens: 40,
          cachedTokens: 200,
          cacheWriteTokens: 30,
          reasoningTokens: 7,
          totalTokens: 280,
        },
      },
      { type: "done", finishReason: "tool_calls" },
    ],
  );
});

Deno.test("MessageReply keeps thoughts whose text the vendor keeps to itself, and none without a signature", () => {
  const replayOf = (signature: string | undefined) =>
    read([start(0, { type: "thinking", thinking: "", signature }), start(1, { type: "text", text: "x" }), ...END])
      .find((event) => event.type === "replay")?.replay.data;
  assert.deepEqual(replayOf("s"), [{ type: "thinking", thinking: "", signature: "s" }, { type: "text", chars: 1 }]);
  assert.equal(replayOf(undefined), undefined);
  assert.equal(replayOf(""), undefined);
  assert.ok(Layout.safeParse(replayOf("s")).success);
  assert.ok(!Layout.safeParse([{ type: "image" }]).success);
});

Deno.test("MessageReply calls the reasons for an end by the names that the others use", () => {
  const table = {
    end_turn: "stop",
    stop_sequence: "stop",
    tool_use: "tool_calls",
    max_tokens: "length",
    model_context_window_exceeded: "length",
    refusal: "content_filter",
    pause_turn: "pause_turn",
  };
  for (const [reason, finishReason] of Object.entries(table)) {
    assert.deepEqual(read([stop(reason)]), [{ type: "done", finishReason }]);
  }
  assert.deepEqual(
    read([{ ...stop("refusal"), delta: { stop_reason: "refusal", stop_details: { explanation: "Not this." } } }]),
    [{ type: "text", text: "Not this." }, { type: "done", finishReason: "content_filter" }],
  );
});

Deno.test("MessageReply skips events, blocks and deltas that it does not know", () => {
  assert.deepEqual(
    read([
      { type: "content_block_paused", message: "a text where others have an object" },
      { type: "message_start" },
      { type: "message_start", message: { usage: null } },
      start(0, { type: "server_tool_use", id: 5, data: {} }),
      json(0, '{"query"'),
      delta(1, { type: "scent_delta", scent: "rose" }),
      delta(1, { type: "text_delta", text: "" }),
      ...END,
    ]).slice(-1),
    [DONE],
  );
});

Deno.test("MessageReply gives an unknown block's pieces to no call", () => {
  const events = read([
    start(0, { type: "server_tool_use", id: "srv", name: "web_search", input: {} }),
    json(0, '{"query":"x"}'),
    start(1, { type: "tool_use", id: "c", name: "file_list", input: {} }),
    ...END,
  ]);
  assert.deepEqual(events, [{ type: "tool_call", call: { id: "c", name: "file_list", arguments: "{}" } }, DONE]);
});

Deno.test("MessageReply throws ZodError for what is no event", () => {
  for (
    const value of [
      5,
      null,
      {},
      { type: 7 },
      { type: "content_block_start" },
      delta(0, {}),
      start(0, { type: "redacted_thinking" }),
    ]
  ) {
    assert.throws(() => open().read(value), { name: /Zod/ }, JSON.stringify(value));
  }
});

Deno.test("MessageReply takes an input that came whole, and makes ids that no other call has", () => {
  const earlier: Message = { role: "assistant", content: "", toolCalls: [{ id: "t0", name: "a", arguments: "{}" }] };
  const events = read([
    start(0, { type: "tool_use", id: "t0", name: "a", input: { whole: true } }),
    start(1, { type: "tool_use", id: "t1", name: "b", input: {} }),
    start(2, { type: "tool_use", name: "c", input: {} }),
    json(1, '{"n":1}'),
    ...END,
  ], open([earlier]));
  const calls = events.flatMap((event) => event.type === "tool_call" ? [event.call] : []);
  assert.deepEqual(calls.map(({ name, arguments: args }) => [name, args]), [["a", '{"whole":true}'], ["b", '{"n":1}'], [
    "c",
    "{}",
  ]]);
  assert.equal(calls[1]!.id, "t1");
  for (const call of [calls[0]!, calls[2]!]) assert.match(call.id, /^call_[0-9a-f]{24}$/);
});

Deno.test("MessageReply drops arguments beyond their bound, and ends a reply beyond its own", () => {
  const half = "x".repeat(LIMITS.argsBytesMax / 2);
  const [event] = read([
    start(0, { type: "tool_use", id: "t", name: "a", input: {} }),
    json(0, half),
    json(0, half + "y"),
    ...END,
  ]);
  assert.deepEqual(event, {
    type: "tool_call",
    call: { id: "t", name: "a", arguments: "", droppedBytes: LIMITS.argsBytesMax + 1 },
  });
  const long = "x".repeat(LIMITS.replyCharsMax);
  const beyond = { code: "provider_protocol", message: /acme/ };
  for (const type of ["text", "thinking"]) {
    const reader = open();
    reader.read(start(0, { type, text: "", thinking: "", signature: "" }));
    reader.read(delta(0, { type: `${type}_delta`, [type]: long }));
    assert.throws(() => reader.read(delta(0, { type: `${type}_delta`, [type]: "y" })), beyond);
  }
  const thinker = open();
  thinker.read(start(0, { type: "thinking" }));
  thinker.read(delta(0, { type: "signature_delta", signature: long }));
  assert.throws(() => thinker.read(start(1, { type: "redacted_thinking", data: "y" })), beyond);
  const caller = open();
  for (let at = 0; at < LIMITS.replyToolCallsMax; at++) {
    caller.read(start(at, { type: "tool_use", id: `t${at}`, name: "a" }));
  }
  assert.throws(() => caller.read(start(999, { type: "tool_use", id: "one more", name: "a" })), beyond);
});

Deno.test("MessageReply is complete with the stop reason or the end mark, and not before", () => {
  const text = start(0, { type: "text", text: "x" });
  assert.deepEqual(read([text]).at(-1), {
    type: "failed",
    code: "provider_interrupted",
    message: "The stream of acme stopped before its end.",
    retryable: true,
  });
  assert.deepEqual(read([text], open(), true).at(-1), DONE);
  assert.deepEqual(read([text, stop(null), { type: "message_stop" }]).at(-1), DONE);
  assert.deepEqual(
    read([start(0, { type: "tool_use", id: "t", name: "a" }), { type: "message_stop" }]).at(-1),
    { type: "done", finishReason: "tool_calls" },
  );
  const reader = open();
  reader.read(text);
  assert.equal(reader.isComplete, false);
  reader.read(stop("end_turn"));
  assert.equal(reader.isComplete, true);
});

Deno.test("MessageReply says of usage only what the vendor said", () => {
  const usageOf = (...values: readonly unknown[]) =>
    read([...values, ...END]).find((event) => event.type === "usage")?.usage;
  const counted = (usage: object) => ({ type: "message_start", message: { usage } });
  assert.deepEqual(usageOf(counted({ input_tokens: 5 })), { promptTokens: 5 });
  assert.deepEqual(usageOf(counted({ output_tokens: 5 })), { completionTokens: 5 });
  assert.deepEqual(usageOf(counted({ input_tokens: 5, cache_read_input_tokens: null, output_tokens: 0 })), {
    promptTokens: 5,
    completionTokens: 0,
    totalTokens: 5,
  });
  assert.deepEqual(
    usageOf(
      counted({ input_tokens: 5, output_tokens: 1 }),
      stop(null, { usage: { input_tokens: 6, output_tokens: 9 } }),
    ),
    { promptTokens: 6, completionTokens: 9, totalTokens: 15 },
  );
  assert.equal(usageOf(counted({})), undefined);
});
