import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import type { Failed } from "#/provider/failure.ts";
import { type OpenAiClient, openClient } from "#/provider/openai_client.ts";
import { type Chain, findChain, fingerprint, toReplay } from "#/provider/responses_chain.ts";
import { ResponsesReply } from "#/provider/responses_reply.ts";
import { toBody } from "#/provider/responses_request.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/** An id that is expired, was never kept, or is not known as a parameter; also what else is wrong with a request, which the whole one then shows. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["provider_rejected", "model_unknown"]);

/**
 * OpenAI Responses. In a session the vendor keeps each reply (`store`), and the next request goes on from it with what is new; when the vendor
 * refuses that, the same call sends the whole conversation, once. Without a session nothing is kept. Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openResponses(options: ProviderOptions): WarmProvider {
  const client = openClient(options, { protocol: "openai_responses", what: "response" });
  const calls = new ResponsesCalls(client, options.name);
  return {
    name: options.name,
    warm: () => client.warm(),
    stream: (request, signal) => calls.stream(request, signal),
  };
}

class ResponsesCalls {
  readonly #client: OpenAiClient;
  readonly #name: string;
  /** Chains that were refused in a row. */
  #refusals = 0;

  constructor(client: OpenAiClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  async *stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent> {
    const startedAt = performance.now();
    const keeps = request.session !== undefined && this.#refusals < LIMITS.chainRefusalsMax;
    const covers = keeps ? await fingerprint(request.messages) : undefined;
    const chain = keeps ? await findChain(request, this.#name) : undefined;
    if (chain === undefined) return yield* this.#call(request, { covers }, signal);
    const refusal = yield* this.#callChained(request, { covers, chain }, signal);
    if (refusal === undefined) {
      this.#refusals = 0;
      return;
    }
    this.#refusals++;
    const message = `${refusal.message} The whole conversation is sent instead.`;
    yield { type: "retry", attempt: 1, waitMs: 0, code: refusal.code, message };
    const timeoutMs = Math.max(1, request.timeoutMs - (performance.now() - startedAt));
    yield* this.#call({ ...request, timeoutMs }, { covers }, signal);
  }

  /** Passes events on; returns the failure when it may come from the chain and nothing was shown. */
  async *#callChained(
    request: ModelRequest,
    kept: { readonly covers: string | undefined; readonly chain: Chain },
    signal: AbortSignal,
  ): AsyncGenerator<ModelEvent, Failed | undefined> {
    let isFirst = true;
    for await (const event of this.#call(request, kept, signal)) {
      if (isFirst && event.type === "failed" && REFUSALS.has(event.code)) return event;
      isFirst = false;
      yield event;
    }
    return undefined;
  }

  #call(
    request: ModelRequest,
    { covers, chain }: { readonly covers: string | undefined; readonly chain?: Chain },
    signal: AbortSignal,
  ): AsyncGenerator<ModelEvent> {
    const thoughtsOf = (message: ModelRequest["messages"][number]) =>
      toReplay(message, this.#name, request.model)?.thoughts;
    return this.#client.stream(request, {
      reader: new ResponsesReply(request, { name: this.#name, chain: chain?.id, covers }),
      send: (openai, init) =>
        openai.responses.create(toBody(request, { store: covers !== undefined, chain, thoughtsOf }), init),
    }, signal);
  }
}
