import type { Replay } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { MessageReply } from "#/provider/anthropic_reply.ts";
import { toBody } from "#/provider/anthropic_request.ts";
import { joinUrl } from "#/provider/base_url.ts";
import { openEndpoint, post } from "#/provider/endpoint.ts";
import type { Failed } from "#/provider/failure.ts";
import { isMadeBy } from "#/provider/own_replay.ts";
import { untilRefused, withTimeLeft } from "#/provider/second_try.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/**
 * Anthropic Messages and everything that speaks it, by fetch. The vendor's package (@anthropic-ai/sdk 1.12.0, measured in Deno 2.9.6) cannot be
 * used in a guest: its constructor reads ANTHROPIC_CUSTOM_HEADERS whatever it is given, which throws without env permission. With it, it costs
 * 27 MB on disk, 50 ms of import and 5 ms for the first call, and what it adds (a bearer key, API version 2026-10-21, eight headers
 * about the machine and itself) the wire would take away again. Facts: platform.claude.com/docs/en/api/messages and the package's types.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openAnthropic(options: ProviderOptions): WarmProvider {
  const { name } = options;
  const endpoint = openEndpoint(options, { protocol: "anthropic", what: "message" });
  const url = joinUrl(endpoint.baseUrl, "/messages");
  // Thoughts that the vendor did not want back.
  const refused = new WeakSet<Replay>();
  const isSent = (replay: Replay, { model }: ModelRequest) =>
    isMadeBy(replay, { provider: name, model }) && !refused.has(replay);
  const call = (request: ModelRequest, signal: AbortSignal) =>
    endpoint.stream(request, {
      reader: new MessageReply(request, name),
      open: (wire) => post(wire, url, toBody(request, (replay) => isSent(replay, request))),
    }, signal);
  return {
    name,
    warm: () => Promise.resolve(),
    // Newer models bind a thought to the conversation before it and answer 400 when that has changed: another day in the system prompt, older
    // messages left out, a turn that went on after a restart. Such a call is made once more without them.
    async *stream(request, signal) {
      const startedAt = performance.now();
      const replays = request.messages.flatMap((m) => m.role === "assistant" && m.replay ? [m.replay] : [])
        .filter((replay) => isSent(replay, request));
      const isCurable = (failed: Failed) => replays.length > 0 && isAboutThoughts(failed);
      const refusal = yield* untilRefused(call(request, signal), isCurable);
      if (refusal !== undefined) {
        for (const replay of replays) refused.add(replay);
        yield* call(withTimeLeft(request, startedAt), signal);
      }
    },
  };
}

/** "Invalid `signature` in `thinking` block", "`thinking` or `redacted_thinking` blocks … cannot be modified". */
function isAboutThoughts({ code, message }: Failed): boolean {
  return code === "provider_rejected" && /thinking`? block|signature/i.test(message);
}
