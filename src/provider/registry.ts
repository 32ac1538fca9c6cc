import { isProtocol } from "#/provider/base_url.ts";
import { withFitted } from "#/provider/fitted.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

type Open = (options: ProviderOptions) => Promise<WarmProvider>;

/** Every provider there is: one line each, on purpose. Evaluated only when it is opened; whoever chooses needs the names alone. */
const PROVIDERS = {
  openai: async (options) => (await import("#/provider/openai.ts")).openOpenAi(options),
  anthropic: async (options) => (await import("#/provider/anthropic.ts")).openAnthropic(options),
  openai_responses: async (options) => (await import("#/provider/responses.ts")).openResponses(options),
  gemini: async (options) => (await import("#/provider/gemini.ts")).openGemini(options),
  demo: async () => (await import("#/provider/demo.ts")).openDemo(),
} as const satisfies Record<string, Open>;

/** Type of a provider that can be opened. */
export type ProviderKind = keyof typeof PROVIDERS;

/** All of them. */
export const PROVIDER_KINDS: readonly string[] = Object.keys(PROVIDERS);

/** True for a type that can be opened. */
export function isProviderKind(type: string): type is ProviderKind {
  return Object.hasOwn(PROVIDERS, type);
}

/** Opens a provider; each request is checked against its model before it is sent. Throws AppError `config_invalid` for settings that it cannot use. */
export async function openProvider(kind: ProviderKind, options: ProviderOptions): Promise<WarmProvider> {
  const open: Open = PROVIDERS[kind];
  const provider = await open(options);
  return isProtocol(kind) ? withFitted(provider, kind) : provider;
}
