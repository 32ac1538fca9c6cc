import { AppError } from "#/core/error.ts";
import type { Secret } from "#/lib/secret.ts";
import type { Protocol } from "#/provider/base_url.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

/** The version of Anthropic's API that this speaks: docs.anthropic.com/en/api/versioning. */
const ANTHROPIC_VERSION = "2023-06-01";

/** How each protocol takes a key; without one only what it always wants. A key never goes into a URL: those are logged. */
export function toAuth(protocol: Protocol, key: Secret | undefined): Readonly<Record<string, string>> {
  switch (protocol) {
    case "openai":
    case "openai_responses":
      return key === undefined ? {} : { authorization: `Bearer ${key.reveal()}` };
    case "anthropic": {
      const version = { "anthropic-version": ANTHROPIC_VERSION };
      return key === undefined ? version : { ...version, "x-api-key": key.reveal() };
    }
    case "gemini":
      return key === undefined ? {} : { "x-goog-api-key": key.reveal() };
  }
}

/** The vendor's own headers and those of the entry, which win. Throws AppError `config_invalid` for one that HTTP cannot carry; never shows its value. */
export function toHeaders(
  { name, extraHeaders = {} }: Pick<ProviderOptions, "name" | "extraHeaders">,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  try {
    const headers = new Headers(own);
    for (const [key, value] of Object.entries(extraHeaders)) headers.set(key, value);
    return Object.fromEntries(headers);
  } catch {
    // The platform's message holds the value.
    const message = `api_key or extra_headers of provider "${name}" cannot be sent in an HTTP header`;
    throw new AppError("config_invalid", message);
  }
}
