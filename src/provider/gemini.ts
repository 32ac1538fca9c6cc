import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { joinUrl, normalizeBaseUrl } from "#/provider/base_url.ts";
import { toFailureContext } from "#/provider/failure.ts";
import { GeminiReply } from "#/provider/gemini_reply.ts";
import { toBody } from "#/provider/gemini_request.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";
import { type StreamedCall, streamReply } from "#/provider/stream.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";

/**
 * The Gemini API and everything that speaks it, by fetch. The vendor's package (@google/genai 3.1.0, measured in Deno 2.9.6) is left out for
 * its reader: 37 MB/s of small chunks where ours reads 211 (57 up to our events), and a picture costs the square of its size (20 MB: 1.3 s
 * in which a guest does nothing else; ours 92 ms). That reader also loses an event that begins with a comment and refuses a last one without
 * its empty line. Under our reader the package would only write the URL and the body, for 41 packages, 32 MB on disk and 40 ms of import;
 * its default entry throws without env permission. Facts: ai.google.dev/api/generate-content and the package's types.
 * Throws AppError `config_invalid` for a bad base URL; `stream` never throws.
 */
export function openGemini(options: ProviderOptions): WarmProvider {
  const baseUrl = normalizeBaseUrl(options.baseUrl, "gemini");
  const headers = toHeaders(options, toAuth("gemini", options.apiKey));
  return {
    name: options.name,
    stream: (request, signal) => streamContent(request, { ...options, baseUrl, headers }, signal),
    warm: () => Promise.resolve(),
  };
}

interface ContentOptions extends ProviderOptions {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Signatures that the vendor does not take back, after a change of key or server, would make a session unusable: such a call is made once
 * more without them.
 */
async function* streamContent(
  request: ModelRequest,
  options: ContentOptions,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const startedAt = performance.now();
  let isFirst = true;
  for await (const event of streamReply(toCall(request, options, true), signal)) {
    if (isFirst && isAboutSignatures(event)) {
      const timeoutMs = Math.max(1, request.timeoutMs - (performance.now() - startedAt));
      return yield* streamReply(toCall({ ...request, timeoutMs }, options, false), signal);
    }
    isFirst = false;
    yield event;
  }
}

/** "Invalid thought signature.", "Corrupted thought signature." One that is missing is no reason to leave out the others. */
function isAboutSignatures(event: ModelEvent): boolean {
  return event.type === "failed" && event.code === "provider_rejected" &&
    /(invalid|corrupt\w*) thought.?signature/i.test(event.message);
}

function toCall(request: ModelRequest, options: ContentOptions, signed: boolean): StreamedCall {
  const { baseUrl, headers, fetch, idleMs, name } = options;
  return {
    request,
    reader: new GeminiReply(request, name),
    context: toFailureContext(options, { model: request.model, baseUrl, what: "Gemini model" }),
    fetch,
    headers,
    idleMs,
    open: async (wire) => {
      const body = JSON.stringify(toBody(request, { name, signed }));
      return (await wire.fetch(toUrl(baseUrl, request.model), { body })).body!;
    },
  };
}

/** A tuned model brings its own collection. */
function toUrl(baseUrl: string, model: string): string {
  const path = /^(models|tunedModels)\//.test(model) ? model : `models/${model}`;
  return joinUrl(baseUrl, `/${path}:streamGenerateContent`, { alt: "sse" });
}
