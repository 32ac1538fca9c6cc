import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toBody, toItems } from "#/provider/responses_request.ts";

const CALL = { id: "c1", name: "file_read", arguments: '{"path":"/shared/a"}' };
const CONVERSATION: readonly Message[] = [
  { role: "system", content: "S" },
  { role: "user", content: "U" },
  { role: "assistant", content: "Old.", toolCalls: [] },
  { role: "user", content: "see", attachments: [file("image/png"), file("application/pdf")] },
  { role: "assistant", content: "", toolCalls: [CALL] },
  { role: "tool", toolCallId: "c1", name: "file_read", content: "text", ok: true },
];
const FREE = { store: false, thoughtsOf: () => undefined };

function file(mimeType: string) {
  return { mimeType, data: "AAAA" };
}

function request(more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "m", messages: CONVERSATION, tools: [], timeoutMs: 1_000, ...more };
}

function descriptor(more: Partial<ModelDescriptor>): { readonly descriptor: ModelDescriptor } {
  return {
    descriptor: {
      id: "m",
      name: "M",
      contextTokens: 9,
      outputTokens: 9,
      input: ["text"],
      output: ["text"],
      toolCall: true,
      reasoning: false,
      structuredOutput: true,
      source: "test",
      ...more,
    },
  };
}

Deno.test("toBody() writes a whole conversation in the wire form", () => {
  const tools = [{ name: "file_read", description: "D", parameters: { type: "object" } }];
  const outputSchema = { name: "answer", schema: { type: "object" } };
  const body = toBody(request({ tools, maxOutputTokens: 9, outputSchema, reasoning: "low" }), FREE);
  assert.deepEqual(body, {
    model: "m",
    instructions: "S",
    stream: true,
    store: false,
    max_output_tokens: 9,
    tools: [{ type: "function", name: "file_read", description: "D", parameters: { type: "object" }, strict: false }],
    reasoning: { effort: "low", summary: "auto" },
    include: ["reasoning.encrypted_content"],
    text: { format: { type: "json_schema", name: "answer", schema: { type: "object" }, strict: true } },
    input: [
      { role: "user", content: "U" },
      { role: "assistant", content: "Old." },
      {
        role: "user",
        content: [
          { type: "input_text", text: "see" },
          { type: "input_image", detail: "auto", image_url: "data:image/png;base64,AAAA" },
          { type: "input_file", filename: "attachment-1.pdf", file_data: "data:application/pdf;base64,AAAA" },
        ],
      },
      { type: "function_call", call_id: "c1", name: "file_read", arguments: '{"path":"/shared/a"}' },
      { type: "function_call_output", call_id: "c1", output: "text" },
    ],
  });
});

Deno.test("toBody() leaves out what there is none of", () => {
  const body = toBody(request({ messages: [{ role: "user", content: "U" }] }), FREE);
  assert.deepEqual(body, { model: "m", stream: true, store: false, input: [{ role: "user", content: "U" }] });
});

Deno.test("toBody() sends only what is new when it goes on from a response, the instructions again", () => {
  const body = toBody(request(), { ...FREE, store: true, chain: { id: "resp_1", from: 5 } });
  assert.deepEqual(body, {
    model: "m",
    instructions: "S",
    stream: true,
    store: true,
    previous_response_id: "resp_1",
    input: [{ type: "function_call_output", call_id: "c1", output: "text" }],
  });
});

Deno.test("toBody() puts sealed thoughts before the replies of this turn, and never beside a chain", () => {
  const thoughts = { type: "reasoning" as const, id: "rs_1", summary: [], encrypted_content: "sealed" };
  const thoughtsOf = (message: Message) => message.role === "assistant" ? thoughts : undefined;
  const input = toBody(request(), { store: false, thoughtsOf }).input as readonly unknown[];
  assert.deepEqual(input.map((item) => item === thoughts), [false, false, false, true, false, false]);
  const chained = toBody(request(), { store: true, thoughtsOf, chain: { id: "resp_1", from: 2 } }).input;
  assert.ok(Array.isArray(chained) && !chained.includes(thoughts) && chained.length === 4);
});

Deno.test("toBody() asks for thoughts of models that have them, and of no other", () => {
  const of = (more: Partial<ModelRequest>) => {
    const { reasoning, include } = toBody(request(more), FREE);
    return { reasoning, include: include?.length };
  };
  const none = { reasoning: undefined, include: undefined };
  assert.deepEqual(of({}), none);
  assert.deepEqual(of({ reasoning: "high", ...descriptor({ reasoning: false }) }), none);
  assert.deepEqual(of(descriptor({ reasoning: true })), { reasoning: { summary: "auto" }, include: 1 });
  assert.deepEqual(of({ reasoning: "none" }), { reasoning: { effort: "none" }, include: undefined });
});

Deno.test("toBody() gives a model that makes pictures the tool for it", () => {
  const body = toBody(request(descriptor({ output: ["text", "image"] })), FREE);
  assert.deepEqual(body.tools, [{ type: "image_generation" }]);
});

Deno.test("toItems() gives text and calls of one message in the order in which they were said", () => {
  const both: Message = {
    role: "assistant",
    content: "I read.",
    toolCalls: [CALL, { ...CALL, id: "c2", arguments: "{" }],
  };
  assert.deepEqual(toItems(both), [
    { role: "assistant", content: "I read." },
    { type: "function_call", call_id: "c1", name: "file_read", arguments: '{"path":"/shared/a"}' },
    { type: "function_call", call_id: "c2", name: "file_read", arguments: '{"invalid_json":"{"}' },
  ]);
  assert.deepEqual(toItems({ role: "system", content: "S" }), []);
  assert.deepEqual(toItems({ role: "user", content: "", attachments: [file("image/png")] }), [{
    role: "user",
    content: [{ type: "input_image", detail: "auto", image_url: "data:image/png;base64,AAAA" }],
  }]);
});
