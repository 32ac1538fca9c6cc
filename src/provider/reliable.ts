import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";

/** `[reliability]`, and what it needs of the outside. */
export interface RetryOptions {
  /** Calls in all, the first included. */
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Waits a random half to whole of the backoff, so that many clients do not come back at once. */
  readonly jitter: boolean;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  /** Resolves after `ms`, or at once when the signal fires. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Monotonic or wall clock in ms; default `performance.now`. */
  readonly now?: () => number;
}

type Failed = Extract<ModelEvent, { type: "failed" }>;

/**
 * Tries a failed call again while nothing of a reply was shown: after the first text, reasoning or tool call a second attempt would
 * say things twice. Each attempt that failed is a `retry` event; the last failure comes through as it is. `request.timeoutMs` covers
 * all attempts and waits together. A vendor that asks for a wait over `retryAfterMsMax`, or past the deadline, is not tried again.
 */
export function withRetries(provider: Provider, options: RetryOptions): Provider {
  return { name: provider.name, stream: (request, signal) => retrying(provider, request, options, signal) };
}

async function* retrying(
  provider: Provider,
  request: ModelRequest,
  options: RetryOptions,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const now = options.now ?? (() => performance.now());
  const deadline = now() + request.timeoutMs;
  for (let attempt = 1;; attempt++) {
    const timeoutMs = Math.max(1, deadline - now());
    const failed = yield* attemptOnce(provider, attempt === 1 ? request : { ...request, timeoutMs }, signal);
    if (!failed) return;
    const waitMs = planWait(failed, attempt, options);
    if (waitMs === undefined || signal.aborted || now() + waitMs >= deadline) {
      yield waitMs === undefined ? explain(failed, attempt, options) : failed;
      return;
    }
    yield { type: "retry", attempt, waitMs, code: failed.code, message: failed.message };
    await options.delay(waitMs, signal);
    if (signal.aborted) {
      yield { type: "failed", code: "cancelled", message: "cancelled", retryable: false };
      return;
    }
  }
}

/** Passes events on; returns the failure when another attempt could hide it. */
async function* attemptOnce(
  provider: Provider,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent, Failed | undefined> {
  let shown = false;
  for await (const event of provider.stream(request, signal)) {
    if (event.type === "failed" && event.retryable && !shown) return event;
    shown ||= event.type === "text" || event.type === "reasoning" || event.type === "tool_call";
    yield event;
  }
  return undefined;
}

/** Ms to wait after this failed attempt, or undefined when it was the last one. Pure but for `random`. */
export function planWait(
  failed: { readonly retryAfterMs?: number },
  attempt: number,
  options: Pick<RetryOptions, "maxAttempts" | "backoffBaseMs" | "backoffMaxMs" | "jitter" | "random">,
): number | undefined {
  const asked = failed.retryAfterMs ?? 0;
  if (attempt >= options.maxAttempts || asked > LIMITS.retryAfterMsMax) return undefined;
  const backoff = Math.min(options.backoffMaxMs, options.backoffBaseMs * 2 ** Math.min(attempt - 1, 30));
  const spread = options.jitter ? backoff * (0.5 + options.random() / 2) : backoff;
  return Math.round(Math.max(spread, asked));
}

function explain(failed: Failed, attempt: number, options: RetryOptions): Failed {
  if (attempt >= options.maxAttempts) {
    return attempt === 1 ? failed : { ...failed, message: `${failed.message} (${attempt} attempts)` };
  }
  const seconds = Math.ceil((failed.retryAfterMs ?? 0) / 1000);
  return { ...failed, message: `${failed.message} It asks to wait ${seconds} s.` };
}
