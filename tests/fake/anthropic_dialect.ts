/** Anthropic Messages as the vendor writes it (platform.claude.com/docs/en/build-with-claude/streaming). */
import type { Usage } from "#/core/message.ts";
import { openAnthropic } from "#/provider/anthropic.ts";
import type { Dialect, Said, SaidEnd, SseEvent } from "./dialect.ts";
import { type Ending, raw, type Reply } from "./openai_reply.ts";

const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  504: "timeout_error",
  529: "overloaded_error",
};

const STOP_REASONS = { stop: "end_turn", tool_calls: "tool_use", length: "max_tokens" } as const;

/** The vendor. */
export const ANTHROPIC: Dialect = {
  type: "anthropic",
  open: openAnthropic,
  toEvents,
  toErrorBody: (status, message) => errorOf(ERROR_TYPES[status] ?? "invalid_request_error", message),
  toErrorEvent: (message) => toEvent(errorOf("overloaded_error", message)),
  hasEndMark: true,
};

/** An event with the name that its type is. */
export function toEvent(data: { readonly type: string; readonly [field: string]: unknown }): SseEvent {
  return { event: data.type, data: JSON.stringify(data) };
}

function errorOf(type: string, message: string) {
  return { type: "error", error: { type, message }, request_id: "req_fake" };
}

function toEvents(said: readonly Said[], end: SaidEnd): readonly SseEvent[] {
  const usage = toCounts(end.usage);
  const message = { id: "msg_fake", type: "message", role: "assistant", model: "fake-1", content: [], usage };
  const blocks = said.flatMap((part, index) => {
    const { block, deltas } = toBlock(part, index);
    return [
      { type: "content_block_start", index, content_block: block },
      ...(index === 0 ? [{ type: "ping" }] : []),
      ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
      { type: "content_block_stop", index },
    ];
  });
  const ended = end.reason === "unfinished" ? [] : [
    {
      type: "message_delta",
      delta: { stop_reason: STOP_REASONS[end.reason], stop_sequence: null },
      usage: { output_tokens: usage.output_tokens, output_tokens_details: usage.output_tokens_details },
    },
    { type: "message_stop" },
  ];
  const start = { ...message, usage: { ...usage, output_tokens: 1, output_tokens_details: null } };
  return [{ type: "message_start", message: start }, ...blocks, ...ended].map(toEvent);
}

function toBlock(part: Said, index: number): { block: unknown; deltas: readonly unknown[] } {
  switch (part.kind) {
    case "text":
      return {
        block: { type: "text", text: "" },
        deltas: cut(part.text, 2).map((text) => ({ type: "text_delta", text })),
      };
    case "reasoning":
      return {
        block: { type: "thinking", thinking: "", signature: "" },
        deltas: [
          ...cut(part.text, 2).map((thinking) => ({ type: "thinking_delta", thinking })),
          { type: "signature_delta", signature: `sig_${index}` },
        ],
      };
    case "call":
      return {
        block: { type: "tool_use", id: part.id, name: part.name, input: {} },
        deltas: ["", ...cut(part.args, part.fragments ?? 2)].map((partial_json) => ({
          type: "input_json_delta",
          partial_json,
        })),
      };
    case "media":
      throw new TypeError("Claude makes no media");
  }
}

function toCounts(usage: Usage = {}) {
  const { promptTokens = 0, cachedTokens = 0, cacheWriteTokens = 0, completionTokens = 0, reasoningTokens } = usage;
  return {
    input_tokens: promptTokens - cachedTokens - cacheWriteTokens,
    cache_read_input_tokens: usage.cachedTokens ?? null,
    cache_creation_input_tokens: usage.cacheWriteTokens ?? null,
    output_tokens: completionTokens,
    output_tokens_details: reasoningTokens === undefined ? null : { thinking_tokens: reasoningTokens },
  };
}

function cut(text: string, parts: number): string[] {
  const points = Array.from(text);
  const size = Math.max(1, Math.ceil(points.length / parts));
  return Array.from(
    { length: Math.ceil(points.length / size) },
    (_, at) => points.slice(at * size, (at + 1) * size).join(""),
  );
}

/** How events travel. */
export interface Travel {
  readonly ending?: Ending;
  readonly fragmentBytes?: number;
  readonly newline?: "\n" | "\r\n";
}

/** A streamed answer of these events. */
export function sse(
  events: readonly SseEvent[],
  { ending = "end", fragmentBytes = 0, newline = "\n" }: Travel = {},
): Reply {
  const steps = events.flatMap(({ event, data }) => {
    const name = event === undefined ? "" : `event: ${event}${newline}`;
    return raw(`${name}data: ${data}${newline}${newline}`);
  });
  return { status: 200, headers: { "content-type": "text/event-stream" }, steps, ending, fragmentBytes, newline };
}

/** A whole reply: `say([{ kind: "text", text: "Hi" }])`. */
export function say(said: readonly Said[], end: Partial<SaidEnd> = {}, travel: Travel = {}): Reply {
  const reason = said.some(({ kind }) => kind === "call") ? "tool_calls" : "stop";
  return sse(toEvents(said, { reason, ...end }), travel);
}
