import type OpenAI from "openai";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { normalizeBaseUrl, toNetTarget } from "#/provider/base_url.ts";
import { type FailureContext, fromStreamError, toFailed } from "#/provider/openai_failure.ts";
import { Reply } from "#/provider/openai_reply.ts";
import { toBody } from "#/provider/openai_request.ts";
import { Wire } from "#/provider/openai_wire.ts";
import { readJsonEvents, StreamError } from "#/provider/sse.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/** Where requests go when nothing is configured. */
export const OPENAI_BASE_URL = "https://api.openai.com/v1";

/** Settings of one entry, and what it needs of the outside. */
export interface OpenAiOptions extends ProviderOptions {
  /** Silence that ends a call; default `providerIdleMs`. */
  readonly idleMs?: number;
  /** Integer ms UTC. */
  readonly now?: () => number;
}

/**
 * OpenAI Chat Completions and everything that speaks it. The package builds the request, eventsource-parser decodes the stream; retries are
 * `withRetries`, deadlines, bounds and error texts are `Wire`. Facts: platform.openai.com/docs/api-reference/chat-streaming.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openOpenAi(options: OpenAiOptions): WarmProvider {
  const baseUrl = normalizeBaseUrl(options.baseUrl ?? OPENAI_BASE_URL);
  const extraHeaders = checkHeaders(options);
  let client: Promise<OpenAI> | undefined;
  // One for all calls: its constructor looks for ten variables, and without permission each is an exception.
  const openClient = () => client ??= makeClient(baseUrl);
  return {
    name: options.name,
    stream: (request, signal) => streamChat(request, { ...options, baseUrl, extraHeaders, openClient }, signal),
    warm: async () => void await openClient(),
  };
}

interface ChatOptions extends OpenAiOptions {
  readonly baseUrl: string;
  readonly openClient: () => Promise<OpenAI>;
}

/** What the package hands on to `fetch` untouched, beside what it knows. */
type OwnInit = object & { readonly wire: Wire };

function checkHeaders({ name, extraHeaders = {}, apiKey }: OpenAiOptions): Readonly<Record<string, string>> {
  try {
    new Headers({ ...extraHeaders, authorization: `Bearer ${apiKey?.reveal() ?? ""}` });
  } catch {
    // The platform's message holds the value.
    throw new AppError(
      "config_invalid",
      `api_key or extra_headers of provider "${name}" cannot be sent in an HTTP header`,
    );
  }
  return extraHeaders;
}

async function* streamChat(
  request: ModelRequest,
  options: ChatOptions,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const context: FailureContext = {
    name: options.name,
    model: request.model,
    where: toNetTarget(options.baseUrl),
    keySource: options.apiKeySource ?? "its api_key",
    key: options.apiKey?.reveal() ?? "",
    now: options.now?.() ?? Date.now(),
  };
  const wire = new Wire({
    fetch: options.fetch,
    apiKey: options.apiKey,
    extraHeaders: options.extraHeaders ?? {},
    context,
    idleMs: options.idleMs ?? LIMITS.providerIdleMs,
    timeoutMs: request.timeoutMs,
  }, signal);
  const reply = new Reply(request, context.name);
  try {
    const body = await openBody(request, options, wire);
    for await (const chunks of readJsonEvents(body, wire)) {
      wire.sawEvent();
      for (const event of joinDeltas(chunks.flatMap((chunk) => reply.read(chunk)))) {
        if (signal.aborted) break;
        yield event;
      }
      if (reply.finishReason !== undefined) wire.expectEnd();
    }
    const failure = reply.finishReason === undefined || signal.aborted ? wire.failure() : undefined;
    if (failure) yield failure;
    else yield* reply.finish(wire.isDone);
  } catch (error) {
    // A vendor that breaks the connection after its finish reason has said everything.
    if (reply.finishReason !== undefined && !signal.aborted && !(error instanceof AppError)) {
      yield* reply.finish(true);
    } else yield explain(error, wire, context);
  } finally {
    wire.close();
  }
}

function explain(error: unknown, wire: Wire, context: FailureContext): ModelEvent {
  if (error instanceof AppError) return toFailed(error.code, error.message);
  if (error instanceof Error && wire.failure() === undefined) {
    if (error instanceof StreamError) return fromStreamError(error.error, context);
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      return toFailed("provider_protocol", `${context.name} sent something that is not a chat completion stream.`);
    }
  }
  return wire.failure(error) ?? toFailed("provider_interrupted", `The stream of ${context.name} broke off.`);
}

/** Text and thoughts that arrived together become one event each: a burst costs the way to the screen once, not per token. */
export function joinDeltas(events: readonly ModelEvent[]): ModelEvent[] {
  const joined: ModelEvent[] = [];
  for (const event of events) {
    const last = joined.at(-1);
    if ((event.type === "text" || event.type === "reasoning") && last?.type === event.type) {
      joined[joined.length - 1] = { type: event.type, text: last.text + event.text };
    } else joined.push(event);
  }
  return joined;
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
