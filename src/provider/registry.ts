import type { ProviderType } from "#/provider/type.ts";
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
  if (type === "demo") return provider;
  // The demo's start does not wait for what it has no use for.
  const { checked } = await import("#/provider/checked.ts");
  return checked(provider, type, options.baseUrl);
}
