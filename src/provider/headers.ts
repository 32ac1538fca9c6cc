import { AppError } from "#/core/error.ts";
import type { Secret } from "#/lib/secret.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

/** `Authorization: Bearer …`, or nothing without a key. */
export function toBearer(key: Secret | undefined): Readonly<Record<string, string>> {
  return key === undefined ? {} : { authorization: `Bearer ${key.reveal()}` };
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
    throw new AppError(
      "config_invalid",
      `api_key or extra_headers of provider "${name}" cannot be sent in an HTTP header`,
    );
  }
}
