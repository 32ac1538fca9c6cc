import type OpenAI from "openai";
import type { Message, ToolCall } from "#/core/message.ts";
import { AppError } from "#/core/error.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

type Body = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming;
type ChatMessage = OpenAI.Chat.Completions.ChatCompletionMessageParam;

/**
 * The request body of Chat Completions. OpenAI's own models take `max_completion_tokens` only; other servers know the older
 * `max_tokens`. Throws AppError `provider_rejected` for an attachment that this API cannot carry: nothing is dropped silently.
 */
export function toBody(request: ModelRequest, options: { readonly isOpenAi: boolean }): Body {
  const limit = request.maxOutputTokens;
  return {
    model: request.model,
    messages: request.messages.map(toChatMessage),
    stream: true,
    stream_options: { include_usage: true },
    // An empty list is an error for several vendors.
    ...(request.tools.length > 0 ? { tools: request.tools.map(toTool) } : {}),
    ...(limit === undefined ? {} : options.isOpenAi ? { max_completion_tokens: limit } : { max_tokens: limit }),
  };
}

function toTool(tool: ModelRequest["tools"][number]): OpenAI.Chat.Completions.ChatCompletionFunctionTool {
  const { name, description, parameters } = tool;
  return { type: "function", function: { name, description, parameters: { ...parameters } } };
}

function toChatMessage(message: Message): ChatMessage {
  if (message.role === "tool") return { role: "tool", tool_call_id: message.toolCallId, content: message.content };
  if (message.role === "assistant") {
    if (message.toolCalls.length === 0) return { role: "assistant", content: message.content };
    const content = message.content === "" ? null : message.content;
    return { role: "assistant", content, tool_calls: message.toolCalls.map(toChatCall) };
  }
  if (message.role === "user" && message.attachments && message.attachments.length > 0) {
    const images = message.attachments.map(({ mimeType, data }) => {
      if (!mimeType.startsWith("image/")) {
        throw new AppError("provider_rejected", `This provider takes images only, not ${mimeType}.`);
      }
      return { type: "image_url" as const, image_url: { url: `data:${mimeType};base64,${data}` } };
    });
    return { role: "user", content: [{ type: "text", text: message.content }, ...images] };
  }
  return { role: message.role, content: message.content };
}

function toChatCall(call: ToolCall): OpenAI.Chat.Completions.ChatCompletionMessageFunctionToolCall {
  return { id: call.id, type: "function", function: { name: call.name, arguments: toJsonArguments(call) } };
}
