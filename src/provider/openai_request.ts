import type OpenAI from "openai";
import type { InlineMedia, Message, ToolCall } from "#/core/message.ts";
import { toModality } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toFormat } from "#/provider/attachments.ts";
import { present } from "#/provider/present.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

type Body = OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming;
type ChatMessage = OpenAI.Chat.Completions.ChatCompletionMessageParam;

/**
 * The request body of Chat Completions. OpenAI's own models take `max_completion_tokens` only; other servers know the older
 * `max_tokens`, and OpenRouter makes pictures only when `modalities` asks for them (openrouter.ai/docs/features/multimodal/image-generation).
 */
export function toBody(request: ModelRequest, { isOpenAi }: { readonly isOpenAi: boolean }): Body {
  const { tools, maxOutputTokens: limit, outputSchema: output, descriptor, reasoning } = request;
  // The package does not know the modality `image`.
  const modalities = ["image", "text"] as unknown as Body["modalities"] & object;
  return {
    model: request.model,
    messages: request.messages.map(toChatMessage),
    stream: true,
    stream_options: { include_usage: true },
    ...present({
      // An empty list is an error for several vendors.
      tools: tools.length > 0 ? tools.map(toTool) : undefined,
      response_format: output && toResponseFormat(output),
      reasoning_effort: descriptor?.reasoning === false ? undefined : reasoning,
      modalities: !isOpenAi && descriptor?.output.includes("image") ? modalities : undefined,
      // Newer accounts keep what does not say so (developers.openai.com/api/docs/guides/migrate-to-responses).
      store: isOpenAi ? false : undefined,
      [isOpenAi ? "max_completion_tokens" : "max_tokens"]: limit,
    }),
  };
}

function toResponseFormat(output: ModelRequest["outputSchema"] & object) {
  return { type: "json_schema" as const, json_schema: { ...output, schema: { ...output.schema }, strict: true } };
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
    return { role: "user", content: [{ type: "text", text: message.content }, ...message.attachments.map(toPart)] };
  }
  return { role: message.role, content: message.content };
}

/** `withFitted` has left only what this format carries. */
function toPart({ mimeType, data }: InlineMedia, index: number): OpenAI.Chat.Completions.ChatCompletionContentPart {
  const url = `data:${mimeType};base64,${data}`;
  if (toModality(mimeType) === "image") return { type: "image_url", image_url: { url } };
  const format = toFormat(mimeType);
  if (format === "wav" || format === "mp3") return { type: "input_audio", input_audio: { data, format } };
  return { type: "file", file: { filename: `attachment-${index}.${format}`, file_data: url } };
}

function toChatCall(call: ToolCall): OpenAI.Chat.Completions.ChatCompletionMessageFunctionToolCall {
  return { id: call.id, type: "function", function: { name: call.name, arguments: toJsonArguments(call) } };
}
