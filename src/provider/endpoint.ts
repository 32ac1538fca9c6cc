import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { normalizeBaseUrl, type Protocol } from "#/provider/base_url.ts";
import { toFailureContext } from "#/provider/failure.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";
import { type StreamedCall, streamReply } from "#/provider/stream.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";
import type { Wire } from "#/provider/wire.ts";

/** What a vendor brings to one call: who reads the reply, and how it is asked for. */
export type EndpointCall = Pick<StreamedCall, "reader" | "open">;

/** What one entry of the registry reaches. */
export interface Endpoint {
  /** Normalized. */
  readonly baseUrl: string;
  /** As `streamReply`. */
  stream(request: ModelRequest, call: EndpointCall, signal: AbortSignal): AsyncGenerator<ModelEvent>;
}

/** `what` is what the endpoint serves, in the singular. Throws AppError `config_invalid` for a bad base URL or header. */
export function openEndpoint(
  options: ProviderOptions,
  { protocol, what }: { readonly protocol: Protocol; readonly what: string },
): Endpoint {
  const { fetch, idleMs } = options;
  const baseUrl = normalizeBaseUrl(options.baseUrl, protocol);
  const headers = toHeaders(options, toAuth(protocol, options.apiKey));
  return {
    baseUrl,
    stream(request, call, signal) {
      const context = toFailureContext(options, { model: request.model, baseUrl, what });
      return streamReply({ ...call, request, context, fetch, headers, idleMs }, signal);
    },
  };
}

/** Sends a body as JSON, without a vendor's package. Throws what `wire.failure` explains. */
export async function post(wire: Wire, url: string, body: unknown): Promise<ReadableStream<Uint8Array>> {
  return (await wire.fetch(url, { body: JSON.stringify(body) })).body!;
}
