import type OpenAI from "openai";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { normalizeBaseUrl } from "#/provider/base_url.ts";
import { toFailureContext } from "#/provider/failure.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";
import { Reply } from "#/provider/openai_reply.ts";
import { toBody } from "#/provider/openai_request.ts";
import { streamReply } from "#/provider/stream.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";
import type { Wire } from "#/provider/wire.ts";

/**
 * OpenAI Chat Completions and everything that speaks it. The package builds the request, eventsource-parser decodes the stream; retries are
 * `withRetries`, deadlines, bounds and error texts are `streamReply`. Facts: platform.openai.com/docs/api-reference/chat-streaming.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openOpenAi(options: ProviderOptions): WarmProvider {
  const baseUrl = normalizeBaseUrl(options.baseUrl, "openai");
  const headers = toHeaders(options, toAuth("openai", options.apiKey));
  let client: Promise<OpenAI> | undefined;
  // One for all calls: its constructor looks for ten variables, and without permission each is an exception.
  const openClient = () => client ??= makeClient(baseUrl);
  return {
    name: options.name,
    stream: (request, signal) => streamChat(request, { ...options, baseUrl, headers, openClient }, signal),
    warm: async () => void await openClient(),
  };
}

interface ChatOptions extends ProviderOptions {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly openClient: () => Promise<OpenAI>;
}

/** What the package hands on to `fetch` untouched, beside what it knows. */
type OwnInit = object & { readonly wire: Wire };

function streamChat(request: ModelRequest, options: ChatOptions, signal: AbortSignal): AsyncGenerator<ModelEvent> {
  const { baseUrl, headers, fetch, idleMs, name } = options;
  return streamReply({
    request,
    reader: new Reply(request, name),
    context: toFailureContext(options, { model: request.model, baseUrl, what: "chat completion" }),
    fetch,
    headers,
    idleMs,
    open: (wire) => openBody(request, options, wire),
  }, signal);
}

async function openBody(
  request: ModelRequest,
  { baseUrl, openClient }: ChatOptions,
  wire: Wire,
): Promise<ReadableStream<Uint8Array>> {
  const body = toBody(request, { isOpenAi: new URL(baseUrl).hostname === "api.openai.com" });
  const client = await openClient();
  const fetchOptions: object = { wire } satisfies OwnInit;
  // The package's own decoder costs 20 µs an event, eight times what this one does, and cannot say which came together.
  const response = await client.chat.completions.create(body, { signal: wire.signal, fetchOptions }).asResponse();
  return response.body!;
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
