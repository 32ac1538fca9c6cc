import { openOpenAi } from "#/provider/openai.ts";
import type { Dialect, Said, SaidEnd, SseEvent } from "./dialect.ts";

/** Chat Completions, as platform.openai.com/docs/api-reference/chat-streaming shows them. */
export const OPENAI: Dialect = {
  type: "openai",
  open: openOpenAi,
  hasEndMark: true,
  toEvents,
  toErrorBody: (status, message) => ({
    error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param: null, code: null },
  }),
  toErrorEvent: (message) => ({ data: JSON.stringify({ error: { message, type: "server_error", code: 503 } }) }),
};

function toEvents(said: readonly Said[], end: SaidEnd): SseEvent[] {
  let index = 0;
  const deltas = [{ role: "assistant", content: "" }, ...said.flatMap((part) => toDeltas(part, () => index++))];
  const events = deltas.map((delta) => chunk([{ index: 0, delta, logprobs: null, finish_reason: null }]));
  if (end.reason === "unfinished") return events;
  events.push(chunk([{ index: 0, delta: {}, logprobs: null, finish_reason: end.reason }]));
  if (end.usage) events.push(chunk([], toUsage(end.usage)));
  return [...events, { data: "[DONE]" }];
}

function toDeltas(part: Said, nextIndex: () => number): Record<string, unknown>[] {
  switch (part.kind) {
    case "text":
      return [{ content: part.text }];
    case "reasoning":
      return [{ reasoning_content: part.text }];
    case "call": {
      const { id, name, args, fragments = 1 } = part;
      const index = nextIndex();
      const size = Math.max(1, Math.ceil(args.length / fragments));
      const pieces = args.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      return [
        { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] },
        ...pieces.map((piece) => ({ tool_calls: [{ index, function: { arguments: piece } }] })),
      ];
    }
    case "media":
      // As OpenRouter sends pictures.
      return [{ images: [{ type: "image_url", image_url: { url: `data:${part.mimeType};base64,${part.data}` } }] }];
  }
}

function toUsage(usage: NonNullable<SaidEnd["usage"]>): Record<string, unknown> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  };
}

function chunk(choices: readonly unknown[], usage?: Record<string, unknown>): SseEvent {
  const data = {
    id: "chatcmpl-Cx1",
    object: "chat.completion.chunk",
    created: 1_760_000_000,
    model: "fake-1",
    choices,
  };
  return { data: JSON.stringify(usage ? { ...data, usage } : data) };
}
