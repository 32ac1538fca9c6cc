import type { Provider } from "#/core/provider.ts";
import type { Secret } from "#/lib/secret.ts";

/** A provider that may have something to load before its first call. */
export interface WarmProvider extends Provider {
  /** Loads what the first call would wait for. Throws what an import throws. */
  warm(): Promise<void>;
}

/** What a provider is opened with. */
export interface ProviderOptions {
  /** Name of the registry entry, for messages. */
  readonly name: string;
  readonly baseUrl?: string;
  readonly apiKey?: Secret;
  /** The setting or variable that the key came from, for messages. */
  readonly apiKeySource?: string;
  readonly extraHeaders?: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  /** Silence that ends a call; default `providerIdleMs`. */
  readonly idleMs?: number;
  /** Integer ms UTC. */
  readonly now?: () => number;
}
