import type { Usage } from "#/core/message.ts";
import { openGemini } from "#/provider/gemini.ts";
import type { Dialect, Said, SaidEnd, SseEvent } from "./dialect.ts";
import { raw, type Reply } from "./openai_reply.ts";

/** The Gemini API, as ai.google.dev/api/generate-content shows it. Nothing marks the end but the finish reason of the last chunk. */
export const GEMINI: Dialect = {
  type: "gemini",
  open: openGemini,
  hasEndMark: true,
  toEvents,
  toErrorBody: (code, message) => ({ error: { code, message, status: STATUS[code] ?? "UNKNOWN", details: [] } }),
  toErrorEvent: (message) => ({ data: JSON.stringify({ error: { code: 503, message, status: "UNAVAILABLE" } }) }),
};

/** A reply of these chunks: JSON as it is, or what was said. */
export function geminiStream(chunks: readonly (Said | Readonly<Record<string, unknown>>)[], end?: SaidEnd): Reply {
  const events = chunks.flatMap((chunk) =>
    "kind" in chunk ? toEvents([chunk as Said], { reason: "unfinished" }) : [{ data: JSON.stringify(chunk) }]
  );
  const all = end === undefined ? events : [...events, ...toEvents([], end)];
  return {
    status: 200,
    headers: { "content-type": "text/event-stream" },
    steps: all.flatMap(({ data }) => raw(`data: ${data}\r\n\r\n`)),
    ending: "end",
    fragmentBytes: 0,
    newline: "\n",
  };
}

const STATUS: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

function toEvents(said: readonly Said[], end: SaidEnd): SseEvent[] {
  const events = said.map((part) => toChunk([toPart(part)]));
  if (end.reason === "unfinished") return events;
  return [...events, toChunk([{ text: "" }], end)];
}

function toPart(part: Said): Record<string, unknown> {
  switch (part.kind) {
    case "text":
      return { text: part.text };
    case "reasoning":
      return { text: part.text, thought: true };
    case "call":
      return { functionCall: { id: part.id, name: part.name, args: toArgs(part.args) } };
    case "media":
      return { inlineData: { mimeType: part.mimeType, data: part.data } };
  }
}

/** The vendor sends an object; what is none it would not send, and a proxy sends as it is. */
function toArgs(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function toChunk(parts: readonly unknown[], end?: SaidEnd): SseEvent {
  const finish = end === undefined ? {} : { finishReason: end.reason === "length" ? "MAX_TOKENS" : "STOP" };
  return {
    data: JSON.stringify({
      candidates: [{ content: { parts, role: "model" }, ...finish, index: 0 }],
      ...(end?.usage ? { usageMetadata: toCounts(end.usage) } : {}),
      modelVersion: "fake-1",
      responseId: "fake-response",
    }),
  };
}

function toCounts(usage: Usage): Record<string, unknown> {
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens, totalTokens } = usage;
  return {
    promptTokenCount: promptTokens,
    candidatesTokenCount: completionTokens === undefined ? undefined : completionTokens - (reasoningTokens ?? 0),
    thoughtsTokenCount: reasoningTokens,
    cachedContentTokenCount: cachedTokens,
    totalTokenCount: totalTokens,
  };
}
