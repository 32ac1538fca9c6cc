/** Conversations that every provider is asked to send: what they hold is the same, each vendor writes it in its own way. */
import type { InlineMedia, Message } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toNoteMessages } from "#/turn/notes.ts";

/** A model that can do everything; what a vendor has no place for is then its own refusal. */
const ABLE: ModelDescriptor = {
  id: "fake-1",
  name: "Fake 1",
  contextTokens: 128_000,
  outputTokens: 16_384,
  input: ["text", "image", "audio", "video", "pdf"],
  output: ["text"],
  toolCall: true,
  reasoning: true,
  structuredOutput: true,
  source: "synthetic",
};

const SYSTEM: Message = { role: "system", content: "You are Oxydra." };
const TOOLS: ModelRequest["tools"] = [
  {
    name: "file_read",
    description: "Reads a file.",
    parameters: {
      type: "object",
      properties: { path: { type: "string" } },
      required: ["path"],
      additionalProperties: false,
    },
  },
  { name: "now", description: "Says the time.", parameters: { type: "object", properties: {} } },
];

/** 1×1 pixel; the others only have to be Base64. */
const PNG: InlineMedia = {
  mimeType: "image/png",
  data: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
};

function user(content: string, ...attachments: InlineMedia[]): Message {
  return attachments.length > 0 ? { role: "user", content, attachments } : { role: "user", content };
}

function assistant(content: string, ...calls: readonly (readonly [id: string, args: string])[]): Message {
  return {
    role: "assistant",
    content,
    toolCalls: calls.map(([id, args]) => ({ id, name: "file_read", arguments: args })),
  };
}

function result(toolCallId: string, content: string, ok = true): Message {
  return { role: "tool", toolCallId, name: "file_read", content, ok };
}

const TWO_CALLS: readonly Message[] = [
  SYSTEM,
  user("Compare a and b."),
  assistant("I read both.", ["call_a", '{"path":"/shared/a"}'], ["call_b", '{"path":"/shared/b"}']),
  result("call_a", "Grüße 🌊"),
  result("call_b", "file_not_found: /shared/b does not exist", false),
];

const all: Readonly<Record<string, Partial<ModelRequest> & { readonly messages: readonly Message[] }>> = {
  "one message": { messages: [user("Hi")] },
  "a system prompt and several turns": {
    messages: [SYSTEM, user("Hi"), assistant("Hello."), user("And\nnow?")],
    maxOutputTokens: 1_000,
  },
  "tools offered": { messages: [SYSTEM, user("Hi")], tools: TOOLS },
  "a tool loop with two results of one step": { messages: TWO_CALLS, tools: TOOLS },
  "a second step of a tool loop": {
    messages: [...TWO_CALLS, assistant("", ["call_c", "{}"]), result("call_c", ""), user("Go on.")],
    tools: TOOLS,
  },
  "broken, foreign and dropped arguments": {
    messages: [
      user("Hi"),
      {
        role: "assistant",
        content: "",
        toolCalls: [
          { id: "call_a", name: "file_read", arguments: '{"path": "/sha' },
          { id: "call_b", name: "file_read", arguments: '["/shared/b"]' },
          { id: "call_c", name: "file_read", arguments: "", droppedBytes: 10_000_000 },
        ],
      },
      result("call_a", "tool_args_invalid", false),
      result("call_b", "tool_args_invalid", false),
      result("call_c", "tool_args_too_large", false),
    ],
    tools: TOOLS,
  },
  "a picture": { messages: [user("What is this?", PNG), assistant("A dot."), user("Sure?")] },
  "a document": { messages: [user("Sum up.", { mimeType: "application/pdf", data: "JVBERi0xLjQK" })] },
  "a sound": { messages: [user("What is said?", { mimeType: "audio/wav", data: "UklGRg==" })] },
  "a film": { messages: [user("What happens?", { mimeType: "video/mp4", data: "AAAAGGZ0eXA=" })] },
  "an archive": { messages: [user("Unpack.", { mimeType: "application/zip", data: "UEsDBA==" })] },
  "little reasoning": { messages: [user("Hi")], reasoning: "low" },
  "much reasoning": { messages: [user("Hi")], reasoning: "high", maxOutputTokens: 8_192 },
  "no reasoning": { messages: [user("Hi")], reasoning: "none" },
  "a thought of another vendor in the history": {
    messages: [
      user("Hi"),
      { ...assistant("Hello."), replay: { provider: "other", model: "fake-1", data: [{ type: "unseen" }] } } as Message,
      user("Go on."),
    ],
  },
  "notes on what was summarised, then a tool loop": {
    messages: [
      SYSTEM,
      ...toNoteMessages({ summary: { fromSeq: 1, toSeq: 9, epoch: 1, text: "They compare files." } }, 1_000),
      ...TWO_CALLS.slice(1),
    ],
    tools: TOOLS,
  },
  "an output schema": {
    messages: [user("A colour, please.")],
    outputSchema: {
      name: "colour",
      schema: {
        type: "object",
        properties: { name: { type: "string" }, hex: { type: "string" } },
        required: ["name", "hex"],
        additionalProperties: false,
      },
    },
  },
};

/** By name; each is a whole request. */
export const CONVERSATIONS: ReadonlyMap<string, ModelRequest> = new Map(
  Object.entries(all).map(([name, request]) => [
    name,
    {
      model: "fake-1",
      descriptor: ABLE,
      session: "0198f1a2-0000-7000-8000-000000000000",
      tools: [],
      timeoutMs: 20_000,
      ...request,
    },
  ]),
);
