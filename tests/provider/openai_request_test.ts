import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { Message } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toBody } from "#/provider/openai_request.ts";

function request(messages: readonly Message[], more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "m", messages, tools: [], timeoutMs: 1_000, ...more };
}

Deno.test("toBody() writes a whole conversation in the wire form", () => {
  const body = toBody(
    request([
      { role: "system", content: "S" },
      { role: "user", content: "U" },
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "c1", name: "file_read", arguments: '{"path":"/shared/a"}' }],
      },
      { role: "tool", toolCallId: "c1", name: "file_read", content: "text", ok: true },
      { role: "assistant", content: "A", toolCalls: [] },
      { role: "user", content: "see", attachments: [{ mimeType: "image/png", data: "AAAA" }] },
    ], { tools: [{ name: "file_read", description: "D", parameters: { type: "object" } }], maxOutputTokens: 9 }),
    { isOpenAi: true },
  );
  assert.deepEqual(body, {
    model: "m",
    stream: true,
    stream_options: { include_usage: true },
    max_completion_tokens: 9,
    tools: [{ type: "function", function: { name: "file_read", description: "D", parameters: { type: "object" } } }],
    messages: [
      { role: "system", content: "S" },
      { role: "user", content: "U" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: "c1",
          type: "function",
          function: { name: "file_read", arguments: '{"path":"/shared/a"}' },
        }],
      },
      { role: "tool", tool_call_id: "c1", content: "text" },
      { role: "assistant", content: "A" },
      {
        role: "user",
        content: [
          { type: "text", text: "see" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
        ],
      },
    ],
  });
});

Deno.test("toBody() leaves out an empty tool list and asks other servers for max_tokens", () => {
  const body = toBody(request([{ role: "user", content: "U" }], { maxOutputTokens: 9 }), { isOpenAi: false });
  assert.deepEqual(Object.keys(body).sort(), ["max_tokens", "messages", "model", "stream", "stream_options"]);
});

Deno.test("toBody() never echoes broken arguments: other servers parse them", () => {
  const echo = (args: string, droppedBytes?: number) => {
    const call = { id: "c", name: "t", arguments: args, ...(droppedBytes === undefined ? {} : { droppedBytes }) };
    const body = toBody(request([{ role: "assistant", content: "", toolCalls: [call] }]), { isOpenAi: false });
    const message = body.messages[0]!;
    const echoed = message.role === "assistant" ? message.tool_calls?.[0] : undefined;
    return echoed?.type === "function" ? JSON.parse(echoed.function.arguments) : undefined;
  };
  assert.deepEqual(echo('{"a":1}'), { a: 1 });
  assert.deepEqual(echo('{"a":'), { invalid_json: '{"a":' });
  assert.deepEqual(echo("[1]"), { not_an_object: "[1]" });
  assert.deepEqual(echo("", 2_000_000), { dropped_bytes: 2_000_000 });
});

Deno.test("toBody() refuses an attachment that it cannot carry", () => {
  const message: Message = { role: "user", content: "", attachments: [{ mimeType: "audio/ogg", data: "" }] };
  assert.throws(
    () => toBody(request([message]), { isOpenAi: true }),
    (error) => error instanceof AppError && error.code === "provider_rejected" && error.message.includes("audio/ogg"),
  );
});
