import { openClient } from "#/provider/openai_client.ts";
import { Reply } from "#/provider/openai_reply.ts";
import { toBody } from "#/provider/openai_request.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/**
 * OpenAI Chat Completions and everything that speaks it. Facts: platform.openai.com/docs/api-reference/chat-streaming.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openOpenAi(options: ProviderOptions): WarmProvider {
  const client = openClient(options, { protocol: "openai", what: "chat completion" });
  const isOpenAi = new URL(client.baseUrl).hostname === "api.openai.com";
  return {
    name: options.name,
    warm: () => client.warm(),
    stream: (request, signal) =>
      client.stream(request, {
        reader: new Reply(request, options.name),
        send: (openai, init) => openai.chat.completions.create(toBody(request, { isOpenAi }), init),
      }, signal),
  };
}
