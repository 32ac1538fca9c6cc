import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import type { Failed } from "#/provider/failure.ts";

/**
 * Passes the events of a call on. Returns its failure instead when that is the first event, so that nothing was shown, and `isCurable` says
 * that the same request may be taken without what it sends back of earlier replies: a session would otherwise be unusable for ever.
 */
export async function* untilRefused(
  events: AsyncIterable<ModelEvent>,
  isCurable: (failed: Failed) => boolean,
): AsyncGenerator<ModelEvent, Failed | undefined> {
  let isFirst = true;
  for await (const event of events) {
    if (isFirst && event.type === "failed" && isCurable(event)) return event;
    isFirst = false;
    yield event;
  }
  return undefined;
}

/** The request with the time that is left of it. `startedAt` is by `performance.now`. */
export function withTimeLeft(request: ModelRequest, startedAt: number): ModelRequest {
  return { ...request, timeoutMs: Math.max(1, request.timeoutMs - (performance.now() - startedAt)) };
}
