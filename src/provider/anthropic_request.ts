import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { InlineMedia, Message, Replay, ToolCall } from "#/core/message.ts";
import { toModality } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { Layout, type LayoutBlock } from "#/provider/anthropic_reply.ts";
import { toThinking } from "#/provider/anthropic_thinking.ts";
import { isTextFile, toFormat } from "#/provider/attachments.ts";
import { present } from "#/provider/present.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

/** A content block, as far as it is looked at. */
export interface Block {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A message on the wire. */
export interface WireMessage {
  readonly role: "user" | "assistant";
  readonly content: Block[];
}

const CACHED = { cache_control: { type: "ephemeral" } } as const;

/**
 * The request body of Messages. `isSent` says of each replay whether its thoughts go back. Throws AppError `provider_rejected` for a
 * text file that is no UTF-8.
 *
 * Four cache markers, all that there may be (platform.claude.com/docs/en/build-with-claude/prompt-caching): the tools, which survive a change
 * of the system prompt (it names the day); the system prompt; the last message, which writes what the next step reads; and the
 * message that the step before ended with, since the vendor looks back 20 blocks only and one step may have more.
 */
export function toBody(request: ModelRequest, isSent: (replay: Replay) => boolean): Readonly<Record<string, unknown>> {
  const { model, descriptor, outputSchema } = request;
  const maxTokens = request.maxOutputTokens ?? descriptor?.outputTokens ?? LIMITS.unstatedOutputTokensMax;
  const system = request.messages.flatMap((m) => m.role === "system" ? toText(m.content) : []);
  const messages = toMessages(request, isSent);
  const { thinking, effort } = toThinking(request, { maxTokens, isThoughtless: isThoughtless(messages) });
  const output = present({ effort, format: outputSchema && { type: "json_schema", schema: outputSchema.schema } });
  return {
    model,
    max_tokens: maxTokens,
    stream: true,
    ...(request.tools.length > 0 ? { tools: toTools(request.tools) } : {}),
    ...(system.length > 0
      ? { system: [{ type: "text", text: system.map(({ text }) => text).join("\n\n"), ...CACHED }] }
      : {}),
    messages: withMarkers(messages),
    ...(thinking === undefined ? {} : { thinking }),
    ...(Object.keys(output).length > 0 ? { output_config: output } : {}),
  };
}

function toTools(tools: ModelRequest["tools"]): Readonly<Record<string, unknown>>[] {
  return tools.map(({ name, description, parameters }, at) => {
    return { name, description, input_schema: parameters, ...(at === tools.length - 1 ? CACHED : {}) };
  });
}

/** Neighbours of one role are one message, and the first is the user's: the API wants both. */
function toMessages(request: ModelRequest, isSent: (replay: Replay) => boolean): WireMessage[] {
  const messages: WireMessage[] = [];
  for (const message of request.messages) {
    if (message.role === "system") continue;
    const role = message.role === "assistant" ? "assistant" : "user";
    const content = toContent(message, isSent);
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...content);
    else if (content.length > 0) messages.push({ role, content });
  }
  if (messages[0]?.role === "assistant") {
    messages.unshift({ role: "user", content: toText("[earlier messages are left out]") });
  }
  return messages;
}

function toContent(message: Exclude<Message, { role: "system" }>, isSent: (replay: Replay) => boolean): Block[] {
  switch (message.role) {
    case "user":
      return [...(message.attachments ?? []).map(toMedia), ...toText(message.content)];
    case "tool": {
      const content = toText(message.content);
      return [{
        type: "tool_result",
        tool_use_id: toName(message.toolCallId),
        ...(content.length > 0 ? { content } : {}),
        ...(message.ok ? {} : { is_error: true }),
      }];
    }
    case "assistant": {
      const layout = message.replay && isSent(message.replay) ? Layout.safeParse(message.replay.data).data : undefined;
      return toReply(message.content, message.toolCalls, layout ?? []);
    }
  }
}

/** The blocks of an earlier reply, in the order in which they came. */
function toReply(text: string, calls: readonly ToolCall[], layout: readonly LayoutBlock[]): Block[] {
  const blocks: Block[] = [];
  let [at, next] = [0, 0];
  for (const block of layout) {
    if (block.type === "text") blocks.push(...toText(text.slice(at, at += block.chars)));
    else if (block.type === "tool_use") blocks.push(...calls.slice(next, ++next).map(toToolUse));
    else blocks.push({ ...block });
  }
  return [...blocks, ...toText(text.slice(at)), ...calls.slice(next).map(toToolUse)];
}

/** A text block, or none: the API refuses one that holds only white space. */
function toText(text: string): (Block & { readonly text: string })[] {
  return text.trim() === "" ? [] : [{ type: "text", text }];
}

function toToolUse(call: ToolCall): Block {
  return { type: "tool_use", id: toName(call.id), name: toName(call.name), input: JSON.parse(toJsonArguments(call)) };
}

/** The API takes no other characters; another vendor's ids and a model's slips have them. */
function toName(text: string): string {
  return text.replace(/[^\w-]/g, "_") || "_";
}

/** `withFitted` has left only what this format carries. */
function toMedia({ mimeType, data }: InlineMedia): Block {
  if (isTextFile(mimeType)) {
    return { type: "document", source: { type: "text", media_type: "text/plain", data: toUtf8(data, mimeType) } };
  }
  const isImage = toModality(mimeType) === "image";
  const source = { type: "base64", media_type: `${isImage ? "image" : "application"}/${toFormat(mimeType)}`, data };
  return { type: isImage ? "image" : "document", source };
}

function toUtf8(data: string, type: string): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(data));
    return text.trim() === "" ? "[the file is empty]" : text;
  } catch {
    const message = `An attachment of type ${type} is not UTF-8 text; convert it and send it again.`;
    throw new AppError("provider_rejected", message);
  }
}

/** Between the steps of a turn whose last reply holds no thought: it was made without, by another model, or the vendor refused it. */
function isThoughtless(messages: readonly WireMessage[]): boolean {
  const reply = messages.findLast(({ role }) => role === "assistant");
  return messages.at(-1)?.content[0]?.type === "tool_result" && !reply?.content[0]?.type.endsWith("thinking");
}

function withMarkers(messages: readonly WireMessage[]): WireMessage[] {
  const marked = messages.filter(({ role }) => role === "user").slice(-2);
  return messages.map((message) => {
    if (!marked.includes(message)) return message;
    return { role: message.role, content: message.content.with(-1, { ...message.content.at(-1)!, ...CACHED }) };
  });
}
