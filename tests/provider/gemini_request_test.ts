import assert from "node:assert/strict";
import type { Message, ToolCall } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { type BodyOptions, type Content, toBody } from "#/provider/gemini_request.ts";

const MODEL = "gemini-3-flash";
const SIGNED = { provider: "mine", model: MODEL };

function bodyOf(messages: readonly Message[], more: Partial<ModelRequest> = {}, options: Partial<BodyOptions> = {}) {
  const request = { model: MODEL, messages, tools: [], timeoutMs: 1_000, ...more };
  return toBody(request, { name: "mine", signed: true, ...options });
}

function contentsOf(...args: Parameters<typeof bodyOf>): readonly Content[] {
  return bodyOf(...args)["contents"] as Content[];
}

const user = (content: string): Message => ({ role: "user", content });
const calling = (...toolCalls: readonly ToolCall[]): Message => ({ role: "assistant", content: "I look.", toolCalls });
const toCall = (id: string, more: Partial<ToolCall> = {}): ToolCall => {
  return { id, name: "file_read", arguments: '{"path":"/a"}', ...more };
};
const result = (id: string, content = "text", ok = true): Message => {
  return { role: "tool", toolCallId: id, name: "file_read", content, ok };
};

Deno.test("toBody() writes a whole conversation in the wire form", () => {
  const parameters = { type: "object", properties: { path: { type: "string" } }, additionalProperties: false };
  const body = bodyOf([
    { role: "system", content: "S" },
    user("U"),
    calling(toCall("c1", { metadata: { ...SIGNED, thoughtSignature: "c2ln" } }), toCall("c2")),
    result("c1"),
    result("c2", "no such file", false),
    {
      role: "assistant",
      content: "It says text.",
      toolCalls: [],
      replay: { ...SIGNED, data: { thoughtSignature: "dHh0", from: 8, to: 13 } },
    },
    { role: "user", content: "see", attachments: [{ mimeType: "image/png", data: "AAAA" }] },
  ], { tools: [{ name: "file_read", description: "D", parameters }], maxOutputTokens: 9 });
  assert.deepEqual(body, {
    systemInstruction: { parts: [{ text: "S" }] },
    contents: [
      { role: "user", parts: [{ text: "U" }] },
      {
        role: "model",
        parts: [
          { functionCall: { id: "c1", name: "file_read", args: { path: "/a" } }, thoughtSignature: "c2ln" },
          { functionCall: { id: "c2", name: "file_read", args: { path: "/a" } } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "c1", name: "file_read", response: { output: "text" } } },
          { functionResponse: { id: "c2", name: "file_read", response: { error: "no such file" } } },
        ],
      },
      { role: "model", parts: [{ text: "It says " }, { text: "text.", thoughtSignature: "dHh0" }] },
      { role: "user", parts: [{ inlineData: { mimeType: "image/png", data: "AAAA" } }, { text: "see" }] },
    ],
    tools: [{ functionDeclarations: [{ name: "file_read", description: "D", parametersJsonSchema: parameters }] }],
    generationConfig: { maxOutputTokens: 9 },
  });
});

Deno.test("toBody() leaves out what nobody set", () => {
  assert.deepEqual(bodyOf([user("U")]), { contents: [{ role: "user", parts: [{ text: "U" }] }] });
});

Deno.test("toBody() asks for pictures, sounds, a schema and thoughts where the model has them", () => {
  const configOf = (more: Partial<ModelRequest>) => bodyOf([user("U")], more)["generationConfig"];
  const makes = (...output: ModelDescriptor["output"]) => ({ output, reasoning: false } as unknown as ModelDescriptor);
  assert.equal(configOf({ descriptor: makes("text") }), undefined);
  assert.deepEqual(configOf({ descriptor: makes("text", "image") }), { responseModalities: ["TEXT", "IMAGE"] });
  assert.deepEqual(configOf({ descriptor: makes("audio") }), { responseModalities: ["AUDIO"] });
  const schema = { type: "object", required: ["a"] };
  assert.deepEqual(configOf({ outputSchema: { name: "x", schema } }), {
    responseMimeType: "application/json",
    responseJsonSchema: schema,
  });
  assert.deepEqual(configOf({ reasoning: "low" }), { thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" } });
});

Deno.test("toBody() sends a signature to the entry and the model that made it, and to no other", () => {
  const metadata = { ...SIGNED, thoughtSignature: "c2ln" };
  const messages: Message[] = [
    user("U"),
    calling(toCall("c1", { metadata })),
    result("c1"),
    {
      role: "assistant",
      content: "T",
      toolCalls: [],
      replay: { ...SIGNED, data: { thoughtSignature: "dHh0", from: 1, to: 1 } },
    },
    user("V"),
  ];
  const signaturesOf = (more: Partial<ModelRequest>, options: Partial<BodyOptions> = {}) =>
    contentsOf(messages, more, options).flatMap(({ parts }) => parts.map((part) => part["thoughtSignature"]))
      .filter((signature) => signature !== undefined);
  assert.deepEqual(signaturesOf({}), ["c2ln", "dHh0"]);
  assert.deepEqual(signaturesOf({ model: "gemini-3-pro" }), []);
  assert.deepEqual(signaturesOf({}, { name: "other" }), []);
  assert.deepEqual(signaturesOf({}, { signed: false }), []);
});

Deno.test("toBody() marks the first call of a running turn that nobody signed, for models that want one", () => {
  const first = (more: Partial<ModelRequest>, ...rest: readonly Message[]) =>
    contentsOf([user("U"), calling(toCall("c1"), toCall("c2")), result("c1"), result("c2"), ...rest], more)[1]!.parts
      .map((part) => part["thoughtSignature"]);
  assert.deepEqual(first({}), ["skip_thought_signature_validator", undefined]);
  assert.deepEqual(first({ model: "gemini-flash-latest" })[0], "skip_thought_signature_validator");
  assert.deepEqual(first({ model: "gemini-2.5-flash" }), [undefined, undefined]);
  assert.deepEqual(first({ model: "gemma-4" }), [undefined, undefined]);
  assert.deepEqual(first({}, { role: "assistant", content: "T", toolCalls: [] }, user("V")), [undefined, undefined]);
});

Deno.test("toBody() never sends broken arguments or a name that the API refuses", () => {
  const callOf = (more: Partial<ToolCall>) =>
    contentsOf([user("U"), calling(toCall("c", more))])[1]!.parts[0]!["functionCall"] as {
      name: string;
      args: unknown;
    };
  assert.deepEqual(callOf({ arguments: '{"a":' }).args, { invalid_json: '{"a":' });
  assert.deepEqual(callOf({ arguments: "", droppedBytes: 9 }).args, { dropped_bytes: 9 });
  assert.equal(callOf({ name: "file read()" }).name, "file_read__");
  assert.equal(callOf({ name: "" }).name, "_");
  const [, , answered] = contentsOf([user("U"), calling(toCall("c")), { ...result("c"), name: "a b" } as Message]);
  assert.deepEqual(answered!.parts[0]!["functionResponse"], { id: "c", name: "a_b", response: { output: "text" } });
});

Deno.test("toBody() keeps the sides in turn, and begins with the user's", () => {
  const contents = contentsOf([
    calling(toCall("c1")),
    result("c1"),
    { role: "assistant", content: "", toolCalls: [] },
    user("U"),
    user("V"),
  ]);
  assert.deepEqual(contents.map(({ role, parts }) => [role, parts.length]), [["user", 1], ["model", 1], ["user", 3]]);
  assert.deepEqual(contents[0]!.parts, [{ text: "[earlier messages are left out]" }]);
});

Deno.test("toBody() carries media, PDF and text", () => {
  const attach = (mimeType: string) =>
    contentsOf([{ role: "user", content: "", attachments: [{ mimeType, data: "AAAA" }] }])[0]!.parts;
  for (const type of ["image/heic", "audio/ogg", "video/mp4", "application/pdf"]) {
    assert.deepEqual(attach(`${type.toUpperCase()}; codecs=x`), [{ inlineData: { mimeType: type, data: "AAAA" } }]);
  }
  for (const type of ["text/markdown; charset=utf-8", "application/json", "image/svg+xml"]) {
    assert.deepEqual(attach(type), [{ inlineData: { mimeType: "text/plain", data: "AAAA" } }]);
  }
});
