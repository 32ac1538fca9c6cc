import type OpenAI from "openai";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { openEndpoint } from "#/provider/endpoint.ts";
import type { ReplyReader } from "#/provider/stream.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";
import type { Wire } from "#/provider/wire.ts";

/** One call: who reads the reply, and how the package asks for it. */
export interface OpenAiCall {
  readonly reader: ReplyReader;
  /** `fetchOptions` carries the wire through the package, which hands it on to `fetch` untouched. */
  readonly send: (
    openai: OpenAI,
    options: { readonly signal: AbortSignal; readonly fetchOptions: object },
  ) => { asResponse(): Promise<Response> };
}

/** An endpoint of OpenAI's, or of somebody who speaks like it. */
export interface OpenAiClient {
  /** Normalized. */
  readonly baseUrl: string;
  /** Loads the package. */
  warm(): Promise<void>;
  /** As `streamReply`. */
  stream(request: ModelRequest, call: OpenAiCall, signal: AbortSignal): AsyncGenerator<ModelEvent>;
}

type OwnInit = object & { readonly wire: Wire };

/**
 * The `openai` package over our wire. The package builds the request, eventsource-parser decodes the stream; retries are `tryAgain`,
 * deadlines, bounds and error texts are `streamReply`. `served` is for `openEndpoint`. Throws AppError `config_invalid` for a bad base URL or header.
 */
export function openClient(
  options: ProviderOptions,
  served: { readonly protocol: "openai" | "openai_responses"; readonly what: string },
): OpenAiClient {
  const { baseUrl, stream } = openEndpoint(options, served);
  let client: Promise<OpenAI> | undefined;
  // One for all calls: its constructor looks for ten variables, and without permission each is an exception.
  const load = () => client ??= makeClient(baseUrl);
  return {
    baseUrl,
    warm: async () => void await load(),
    stream: (request, { reader, send }, signal) =>
      stream(request, {
        reader,
        open: async (wire) => {
          const fetchOptions: object = { wire } satisfies OwnInit;
          // The package's own decoder costs 20 µs an event, eight times what ours does, and cannot say which came together.
          return (await send(await load(), { signal: wire.signal, fetchOptions }).asResponse()).body!;
        },
      }, signal),
  };
}

async function makeClient(baseURL: string): Promise<OpenAI> {
  const { default: OpenAI } = await import("openai");
  return new OpenAI({
    baseURL,
    // The wire sends the key. Nulls, so that the package looks for nothing in an environment that the guest does not have.
    apiKey: "sent-by-wire",
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    logLevel: "off",
    maxRetries: 0,
    timeout: 2_147_483_647,
    fetch: (url, init) => (init as OwnInit).wire.fetch(url, init),
  });
}
