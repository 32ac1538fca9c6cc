import { isProtocol, normalizeBaseUrl, toNetTarget } from "#/provider/base_url.ts";
import type { ProviderType } from "#/provider/config.ts";
import { withFitted } from "#/provider/fitted.ts";
import { withOwnReplay } from "#/provider/own_replay.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

type Open = (options: ProviderOptions) => Promise<WarmProvider>;

/** Every provider there is: one line each, on purpose. Evaluated only when it is opened; whoever chooses needs the names alone. */
const PROVIDERS: Readonly<Record<ProviderType, Open>> = {
  openai: async (options) => (await import("#/provider/openai.ts")).openOpenAi(options),
  anthropic: async (options) => (await import("#/provider/anthropic.ts")).openAnthropic(options),
  openai_responses: async (options) => (await import("#/provider/responses.ts")).openResponses(options),
  gemini: async (options) => (await import("#/provider/gemini.ts")).openGemini(options),
  demo: async () => (await import("#/provider/demo.ts")).openDemo(),
};

/** Opens a provider; each request is checked against its model before it is sent, and has of earlier replies what this address asked for. Throws AppError `config_invalid` for settings that it cannot use. */
export async function openProvider(type: ProviderType, options: ProviderOptions): Promise<WarmProvider> {
  const provider = await PROVIDERS[type](options);
  if (!isProtocol(type)) return provider;
  return withFitted(withOwnReplay(provider, toNetTarget(normalizeBaseUrl(options.baseUrl, type))), type);
}
