import type { Replay } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { MessageReply } from "#/provider/anthropic_reply.ts";
import { toBody } from "#/provider/anthropic_request.ts";
import { joinUrl, normalizeBaseUrl } from "#/provider/base_url.ts";
import { toFailureContext } from "#/provider/failure.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";
import { type StreamedCall, streamReply } from "#/provider/stream.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/**
 * Anthropic Messages and everything that speaks it, by fetch. The vendor's package (@anthropic-ai/sdk 1.12.0, measured in Deno 2.9.6) cannot be
 * used in a guest: its constructor reads ANTHROPIC_CUSTOM_HEADERS whatever it is given, which throws without env permission. With it, it costs
 * 27 MB on disk, 50 ms of import and 5 ms for the first call, and what it adds (a bearer key, API version 2026-10-21, eight headers
 * about the machine and itself) the wire would take away again. Facts: platform.claude.com/docs/en/api/messages and the package's types.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openAnthropic(options: ProviderOptions): WarmProvider {
  const baseUrl = normalizeBaseUrl(options.baseUrl, "anthropic");
  const headers = toHeaders(options, toAuth("anthropic", options.apiKey));
  const refused = new WeakSet<Replay>();
  return {
    name: options.name,
    stream: (request, signal) => streamMessage(request, { ...options, baseUrl, headers, refused }, signal),
    warm: () => Promise.resolve(),
  };
}

interface MessageOptions extends ProviderOptions {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Thoughts that the vendor did not want back. */
  readonly refused: WeakSet<Replay>;
}

/**
 * Newer models bind a thought to the conversation before it and answer 400 when that has changed: another day in the system prompt, older
 * messages left out, a turn that went on after a restart. A session would be unusable for ever, so such a call is made once more without them.
 */
async function* streamMessage(
  request: ModelRequest,
  options: MessageOptions,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const startedAt = performance.now();
  const replays = request.messages.flatMap((m) => m.role === "assistant" && m.replay ? [m.replay] : [])
    .filter((replay) => isSent(replay, request, options));
  let isFirst = true;
  for await (const event of streamReply(toCall(request, options), signal)) {
    if (!isFirst || replays.length === 0 || !isAboutThoughts(event)) {
      isFirst = false;
      yield event;
      continue;
    }
    for (const replay of replays) options.refused.add(replay);
    const timeoutMs = Math.max(1, request.timeoutMs - (performance.now() - startedAt));
    return yield* streamReply(toCall({ ...request, timeoutMs }, options), signal);
  }
}

function isSent(replay: Replay, { model }: ModelRequest, { name, refused }: MessageOptions): boolean {
  return replay.provider === name && replay.model === model && !refused.has(replay);
}

/** "Invalid `signature` in `thinking` block", "`thinking` or `redacted_thinking` blocks … cannot be modified". */
function isAboutThoughts(event: ModelEvent): boolean {
  return event.type === "failed" && event.code === "provider_rejected" &&
    /thinking`? block|signature/i.test(event.message);
}

function toCall(request: ModelRequest, options: MessageOptions): StreamedCall {
  const { baseUrl, headers, fetch, idleMs, name } = options;
  return {
    request,
    reader: new MessageReply(request, name),
    context: toFailureContext(options, { model: request.model, baseUrl, what: "message" }),
    fetch,
    headers,
    idleMs,
    open: async (wire) => {
      const body = JSON.stringify(toBody(request, (replay) => isSent(replay, request, options)));
      return (await wire.fetch(joinUrl(baseUrl, "/messages"), { body })).body!;
    },
  };
}
