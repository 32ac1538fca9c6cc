import type { Message } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";

/** What a provider adds around each message, in tokens. */
const MESSAGE_TOKENS = 4;
/** What one picture or file costs: vendors count 700 to 1,600 for an image of ordinary size. */
const ATTACHMENT_TOKENS = 1_500;

/** Tokens of a text at four characters each: right within 30 % for English, too low for scripts without an alphabet. */
export function estimateTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Tokens of one message with its tool calls and attachments. */
export function estimateMessageTokens(message: Message): number {
  let tokens = MESSAGE_TOKENS + estimateTokens(message.content);
  if (message.role === "assistant") {
    for (const call of message.toolCalls) tokens += MESSAGE_TOKENS + estimateTokens(call.name + call.arguments);
  }
  if (message.role === "user") tokens += (message.attachments?.length ?? 0) * ATTACHMENT_TOKENS;
  return tokens;
}

/** Tokens of the tool schemas, which travel with every request. */
export function estimateToolTokens(tools: readonly ToolSchema[]): number {
  return tools.length === 0 ? 0 : estimateTokens(JSON.stringify(tools));
}
