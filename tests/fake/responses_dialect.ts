import { openResponses } from "#/provider/responses.ts";
import type { Dialect, Said, SaidEnd, SseEvent } from "./dialect.ts";
import type { Reply, Step } from "./openai_reply.ts";

/** Responses, as developers.openai.com/api/reference/resources/responses/streaming-events shows them. */
export const RESPONSES: Dialect = {
  type: "openai_responses",
  open: openResponses,
  hasEndMark: true,
  toEvents: (said, end) => toEvents(said, end),
  toErrorBody: (status, message) => ({
    error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param: null, code: null },
  }),
  toErrorEvent: (message) => event("error", { code: "server_error", message, param: null, sequence_number: 9 }),
};

/** What the response object says of itself. */
export interface ResponseFields {
  readonly id?: string;
  readonly previous_response_id?: string | null;
  readonly store?: boolean;
}

/** A whole answer; `steps` stand between its output and its end. */
export function responds(
  said: readonly Said[],
  options: Partial<SaidEnd> & { response?: ResponseFields; fragmentBytes?: number; steps?: readonly Step[] } = {},
): Reply {
  const reason = options.reason ?? (said.some((part) => part.kind === "call") ? "tool_calls" : "stop");
  const events = toEvents(said, { ...options, reason }, options.response);
  const steps = events.map((each): Step => ({
    kind: "raw",
    bytes: new TextEncoder().encode(`event: ${each.event}\ndata: ${each.data}\n\n`),
  }));
  return {
    status: 200,
    headers: { "content-type": "text/event-stream; charset=utf-8" },
    steps: [...steps.slice(0, -1), ...options.steps ?? [], ...steps.slice(-1)],
    ending: "end",
    fragmentBytes: options.fragmentBytes ?? 0,
    newline: "\n",
  };
}

function event(type: string, fields: Readonly<Record<string, unknown>>): SseEvent {
  return { event: type, data: JSON.stringify({ type, ...fields }) };
}

function toEvents(said: readonly Said[], end: SaidEnd, fields: ResponseFields = {}): SseEvent[] {
  const response = {
    id: "resp_1",
    object: "response",
    created_at: 1_760_000_000,
    model: "fake-1",
    error: null,
    incomplete_details: null,
    previous_response_id: null,
    store: true,
    usage: null,
    ...fields,
  };
  const started = { ...response, status: "in_progress" };
  const events = [
    event("response.created", { response: started }),
    event("response.in_progress", { response: started }),
    ...said.flatMap(toItemEvents),
  ];
  if (end.reason === "unfinished") return events;
  const usage = end.usage ? toUsage(end.usage) : null;
  const ended = end.reason === "length"
    ? { ...response, status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, usage }
    : { ...response, status: "completed", usage };
  return [...events, event(`response.${ended.status}`, { response: ended })];
}

function toItemEvents(part: Said, output_index: number): SseEvent[] {
  const at = { output_index, item_id: `item_${output_index}`, content_index: 0 };
  const around = (item: Readonly<Record<string, unknown>>, begun: object, between: readonly SseEvent[]) => [
    event("response.output_item.added", { output_index, item: { id: at.item_id, ...item, ...begun } }),
    ...between,
    event("response.output_item.done", { output_index, item: { id: at.item_id, ...item, status: "completed" } }),
  ];
  switch (part.kind) {
    case "text": {
      const whole = { type: "output_text", text: part.text, annotations: [] };
      return around({ type: "message", role: "assistant", content: [whole] }, { content: [] }, [
        event("response.content_part.added", { ...at, part: { ...whole, text: "" } }),
        event("response.output_text.delta", { ...at, delta: part.text, logprobs: [], obfuscation: "x7" }),
        event("response.output_text.done", { ...at, text: part.text }),
        event("response.content_part.done", { ...at, part: whole }),
      ]);
    }
    case "reasoning": {
      const summary = [{ type: "summary_text", text: part.text }];
      const sealed = { type: "reasoning", summary, encrypted_content: `sealed:${output_index}` };
      return around(sealed, { summary: [], encrypted_content: "half" }, [
        event("response.reasoning_summary_part.added", { ...at, summary_index: 0, part: { ...summary[0], text: "" } }),
        event("response.reasoning_summary_text.delta", { ...at, summary_index: 0, delta: part.text }),
        event("response.reasoning_summary_text.done", { ...at, summary_index: 0, text: part.text }),
        event("response.reasoning_summary_part.done", { ...at, summary_index: 0, part: summary[0] }),
      ]);
    }
    case "call": {
      const { id: call_id, name, args, fragments = 1 } = part;
      const size = Math.max(1, Math.ceil(args.length / fragments));
      const pieces = args.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      return around({ type: "function_call", call_id, name, arguments: args }, { arguments: "" }, [
        ...pieces.map((delta) => event("response.function_call_arguments.delta", { ...at, delta })),
        event("response.function_call_arguments.done", { ...at, arguments: args }),
      ]);
    }
    case "media": {
      const output_format = part.mimeType.slice("image/".length);
      return around({ type: "image_generation_call", result: part.data, output_format }, { result: null }, [
        event("response.image_generation_call.generating", { ...at, sequence_number: 3 }),
      ]);
    }
  }
}

function toUsage(usage: NonNullable<SaidEnd["usage"]>): Record<string, unknown> {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.totalTokens,
  };
}
