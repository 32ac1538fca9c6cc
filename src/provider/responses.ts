import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { openClient } from "#/provider/openai_client.ts";
import { type Chain, findChain, fingerprint, toReplay } from "#/provider/responses_chain.ts";
import { ResponsesReply } from "#/provider/responses_reply.ts";
import { toBody } from "#/provider/responses_request.ts";
import { untilRefused, withTimeLeft } from "#/provider/second_try.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/** An id that is expired, was never kept, or is not known as a parameter; also what else is wrong with a request, which the whole one then shows. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["provider_rejected", "model_unknown"]);

/**
 * OpenAI Responses. In a session the vendor keeps each reply (`store`), and the next request goes on from it with what is new; when the vendor
 * refuses that, the same call sends the whole conversation, once. Without a session nothing is kept. Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openResponses(options: ProviderOptions): WarmProvider {
  const { name } = options;
  const client = openClient(options, { protocol: "openai_responses", what: "response" });
  // Chains that were refused in a row.
  let refusals = 0;
  const call = (request: ModelRequest, covers: string | undefined, chain: Chain | undefined, signal: AbortSignal) => {
    const thoughtsOf = (message: Message) => toReplay(message, name, request.model)?.thoughts;
    return client.stream(request, {
      reader: new ResponsesReply(request, { name, chain: chain?.id, covers }),
      send: (openai, init) =>
        openai.responses.create(toBody(request, { store: covers !== undefined, chain, thoughtsOf }), init),
    }, signal);
  };
  return {
    name,
    warm: () => client.warm(),
    async *stream(request, signal) {
      const startedAt = performance.now();
      const keeps = request.session !== undefined && refusals < LIMITS.chainRefusalsMax;
      const covers = keeps ? await fingerprint(request.messages) : undefined;
      const chain = keeps ? await findChain(request, name) : undefined;
      if (chain === undefined) return yield* call(request, covers, undefined, signal);
      const refusal = yield* untilRefused(call(request, covers, chain, signal), ({ code }) => REFUSALS.has(code));
      refusals = refusal === undefined ? 0 : refusals + 1;
      if (refusal === undefined) return;
      const message = `${refusal.message} The whole conversation is sent instead.`;
      yield { type: "retry", attempt: 1, waitMs: 0, code: refusal.code, message };
      yield* call(withTimeLeft(request, startedAt), covers, undefined, signal);
    },
  };
}
