import { AppError } from "#/core/error.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { fitAttachments, type FittedAttachments } from "#/provider/attachments.ts";
import type { Protocol } from "#/provider/base_url.ts";
import { toFailed } from "#/provider/failure.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";

/**
 * Checks each request against its model and wire format before anything is sent: attachments as `fitAttachments`, and `outputSchema`,
 * which a model without structured output refuses with `provider_rejected`.
 */
export function withFitted(provider: WarmProvider, protocol: Protocol): WarmProvider {
  return {
    name: provider.name,
    warm: () => provider.warm(),
    async *stream(request, signal) {
      const fitted = fit(request, protocol);
      if (fitted instanceof AppError) return yield toFailed(fitted.code, fitted.message);
      if (fitted.notice !== undefined) yield { type: "notice", message: fitted.notice };
      yield* provider.stream({ ...request, messages: fitted.messages }, signal);
    },
  };
}

function fit(request: ModelRequest, protocol: Protocol): FittedAttachments | AppError {
  if (request.outputSchema !== undefined && request.descriptor?.structuredOutput === false) {
    const message = `The model "${request.model}" cannot be held to a JSON schema. Choose one with structured output.`;
    return new AppError("provider_rejected", message);
  }
  try {
    return fitAttachments(request, protocol);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}
