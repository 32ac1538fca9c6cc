import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { count, envName, httpUrl, line, name, seconds, secretText } from "#/lib/field.ts";
import { ProviderType, ReasoningEffort } from "#/provider/type.ts";

/** `[[selection.fallback]]`: who answers when the ones before cannot. */
export const Fallback = z.strictObject({ provider: name(), model: line() });
export type Fallback = z.infer<typeof Fallback>;

/** `[selection]`: an entry of the registry and a model of it. What is absent is chosen at start, and the choice is printed. */
export const Selection = z.strictObject({
  provider: name().optional(),
  model: line().optional(),
  /** How much it may think; absent leaves that to the vendor. Models that do not think are not told. */
  reasoning_effort: ReasoningEffort.optional(),
  fallback: z.array(Fallback).max(LIMITS.fallbacksMax).optional(),
});
export type Selection = z.infer<typeof Selection>;

/** `[providers.registry.NAME]`: how to reach one endpoint. Header values are wrapped: they may carry a key. */
export const ProviderEntry = z.strictObject({
  provider_type: ProviderType,
  base_url: httpUrl().optional(),
  api_key: secretText().optional(),
  api_key_env: envName().optional(),
  extra_headers: z.record(
    z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, "must be a header name (RFC 9110, token)"),
    secretText(),
  ).optional(),
  catalog_provider: name().optional(),
  attachment: z.boolean().optional(),
  input_modalities: z.array(z.enum(["text", "image", "audio", "video", "pdf", "document"])).optional(),
  reasoning: z.boolean().optional(),
  max_input_tokens: count().optional(),
  max_output_tokens: count().optional(),
  max_context_tokens: count().optional(),
});
export type ProviderEntry = z.infer<typeof ProviderEntry>;

/** `[providers]`. */
export const ProvidersConfig = z.strictObject({ registry: z.record(name(), ProviderEntry).prefault({}) });

/** Entries that are there before any file is read; a file changes them key by key: the reference's two, and one for each other type. */
export const DEFAULT_REGISTRY: Readonly<Record<string, z.input<typeof ProviderEntry>>> = {
  openai: { provider_type: "openai", api_key_env: "OPENAI_API_KEY" },
  anthropic: { provider_type: "anthropic", api_key_env: "ANTHROPIC_API_KEY" },
  gemini: { provider_type: "gemini", api_key_env: "GEMINI_API_KEY" },
  openai_responses: { provider_type: "openai_responses", api_key_env: "OPENAI_API_KEY" },
  demo: { provider_type: "demo" },
};

/**
 * `[reliability]`: retries of one model call, and when another entry is asked. `attempt_timeout_secs` is the silence that ends one attempt,
 * until its first event and between two events of its stream; by default a call's whole time (`runtime.turn_timeout_secs`), and while a
 * fallback is left half of what is left of it. `cooldown_secs` is how long an entry that failed is not asked first.
 */
export const ReliabilityConfig = z.strictObject({
  max_attempts: count(100).default(3),
  backoff_base_ms: count(600_000).default(250),
  backoff_max_ms: count(600_000).default(2_000),
  jitter: z.boolean().default(false),
  attempt_timeout_secs: seconds().optional(),
  cooldown_secs: seconds().default(60),
});
export type ReliabilityConfig = z.infer<typeof ReliabilityConfig>;

/** `[catalog]`: what is known about models. */
export const CatalogConfig = z.strictObject({
  skip_catalog_validation: z.boolean().default(false),
  pinned_url: httpUrl().optional(),
});
