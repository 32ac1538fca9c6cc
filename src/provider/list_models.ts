import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { line } from "#/lib/field.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { joinUrl, normalizeBaseUrl, type Protocol } from "#/provider/base_url.ts";
import { fromStatus, fromTransport, toFailureContext } from "#/provider/failure.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

const Listed = z.union([
  z.object({ data: z.array(z.object({ id: z.string() })) }).transform(({ data }) => data.map(({ id }) => id)),
  z.object({
    models: z.array(z.object({ name: z.string(), supportedGenerationMethods: z.array(z.string()).optional() })),
  })
    .transform(({ models }) =>
      models.filter(({ supportedGenerationMethods: methods }) => methods?.includes("generateContent") ?? true)
        .map(({ name }) => name.replace(/^models\//, ""))
    ),
]);

/** As many as a page may have: one is enough for every vendor so far. */
const PAGE: Readonly<Partial<Record<Protocol, Readonly<Record<string, string>>>>> = {
  anthropic: { limit: "1000" },
  gemini: { pageSize: "1000" },
};

/**
 * The ids of the models that an endpoint serves, as it lists them, less those with control characters. A redirect is not followed: it would carry the key along. Throws AppError
 * with a code of providers.
 */
export async function listModels(
  protocol: Protocol,
  options: ProviderOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const baseUrl = normalizeBaseUrl(options.baseUrl, protocol);
  const context = toFailureContext(options, { model: "", baseUrl, what: "list of models" });
  const headers = toHeaders(options, toAuth(protocol, options.apiKey));
  const response = await options.fetch(joinUrl(baseUrl, "/models", PAGE[protocol]), {
    headers,
    redirect: "manual",
    signal,
  }).catch((error) => {
    const { code, message } = fromTransport(error, context);
    throw new AppError(code, message);
  });
  try {
    const text = await readBounded(response.body ?? new Blob([]).stream(), LIMITS.modelListBytesMax);
    // An id that no settings could hold cannot be chosen.
    if (response.ok) return Listed.parse(JSON.parse(text)).filter((id) => line().safeParse(id).success);
    const { code, message } = fromStatus(response.status, response.headers, text, context);
    throw new AppError(code, message);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("provider_protocol", `${context.where} sent something that is no list of models`, { cause });
  }
}
