import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
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
    store: false,
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

Deno.test("toBody() writes each kind of file in its own part", () => {
  const attachments = ["image/webp", "audio/mpeg", "application/pdf"].map((mimeType) => ({ mimeType, data: "AAAA" }));
  const { messages } = toBody(request([{ role: "user", content: "see", attachments }]), { isOpenAi: true });
  assert.deepEqual(messages[0]?.content, [
    { type: "text", text: "see" },
    { type: "image_url", image_url: { url: "data:image/webp;base64,AAAA" } },
    { type: "input_audio", input_audio: { data: "AAAA", format: "mp3" } },
    { type: "file", file: { filename: "attachment-2.pdf", file_data: "data:application/pdf;base64,AAAA" } },
  ]);
});

Deno.test("toBody() asks for JSON, for thoughts and for pictures where the model has them", () => {
  const descriptor: ModelDescriptor = {
    id: "m",
    name: "M",
    contextTokens: 9,
    outputTokens: 9,
    input: ["text"],
    output: ["text", "image"],
    toolCall: true,
    reasoning: false,
    structuredOutput: true,
    source: "test",
  };
  const body = (more: Partial<ModelRequest>, isOpenAi = false) =>
    toBody(request([{ role: "user", content: "U" }], more), { isOpenAi });
  const schema = { type: "object" };
  assert.deepEqual(body({ outputSchema: { name: "answer", schema } }).response_format, {
    type: "json_schema",
    json_schema: { name: "answer", schema, strict: true },
  });
  assert.equal(body({ reasoning: "low" }).reasoning_effort, "low");
  assert.equal("reasoning_effort" in body({ reasoning: "low", descriptor }), false);
  assert.deepEqual(body({ descriptor }).modalities, ["image", "text"]);
  assert.equal("modalities" in body({ descriptor }, true), false);
});
