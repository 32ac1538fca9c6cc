import type { ModelRequest } from "#/core/provider.ts";
import { joinUrl } from "#/provider/base_url.ts";
import { openEndpoint, post } from "#/provider/endpoint.ts";
import type { Failed } from "#/provider/failure.ts";
import { GeminiReply } from "#/provider/gemini_reply.ts";
import { toBody } from "#/provider/gemini_request.ts";
import { untilRefused, withTimeLeft } from "#/provider/second_try.ts";
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
  const { name } = options;
  const endpoint = openEndpoint(options, { protocol: "gemini", what: "Gemini model" });
  const call = (request: ModelRequest, signed: boolean, signal: AbortSignal) =>
    endpoint.stream(request, {
      reader: new GeminiReply(request, name),
      open: (wire) => post(wire, toUrl(endpoint.baseUrl, request.model), toBody(request, { name, signed })),
    }, signal);
  return {
    name,
    warm: () => Promise.resolve(),
    // Signatures that the vendor does not take back, after a change of key or server, would make a session unusable: such a call is made once
    // more without them.
    async *stream(request, signal) {
      const startedAt = performance.now();
      const refusal = yield* untilRefused(call(request, true, signal), isAboutSignatures);
      if (refusal !== undefined) yield* call(withTimeLeft(request, startedAt), false, signal);
    },
  };
}

/** "Invalid thought signature.", "Corrupted thought signature." One that is missing is no reason to leave out the others. */
function isAboutSignatures({ code, message }: Failed): boolean {
  return code === "provider_rejected" && /(invalid|corrupt\w*) thought.?signature/i.test(message);
}

/** A tuned model brings its own collection. */
function toUrl(baseUrl: string, model: string): string {
  const path = /^(models|tunedModels)\//.test(model) ? model : `models/${model}`;
  return joinUrl(baseUrl, `/${path}:streamGenerateContent`, { alt: "sse" });
}
