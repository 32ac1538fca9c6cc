import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";
import { type Failed, toFailed } from "#/provider/failure.ts";

/** `[reliability]`, and what it needs of the outside. */
export interface RetryOptions {
  /** Calls in all, the first included. */
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Waits a random half to whole of the backoff, so that many clients do not come back at once. */
  readonly jitter: boolean;
  /** Silence that ends one attempt, see `ModelRequest.silenceMs`. */
  readonly attemptTimeoutMs?: number;
  /** 0 ≤ n < 1. */
  readonly random: () => number;
  /** Resolves after `ms`, or at once when the signal fires. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Monotonic or wall clock in ms; default `performance.now`. */
  readonly now?: () => number;
}

/** How one entry is tried while others could answer. */
export interface Patience {
  /** No attempt of this entry begins later, nor is silent longer; ms from the start. */
  readonly withinMs: number;
  readonly attemptsMax: number;
}

/**
 * One call, tried again when it failed while nothing of a reply was shown: after the first text, reasoning, tool call or media a second
 * attempt would say things twice. Each attempt that failed is a `retry` event; the last failure comes through as it is.
 * `request.timeoutMs` covers all attempts and waits together. A vendor that asks for a wait over `retryAfterMsMax`, or past the deadline,
 * is not tried again. With `patience` somebody else could answer: then silence is not tried a second time, and a wait is at most
 * `backoffMaxMs`.
 */
export async function* tryAgain(
  provider: Provider,
  request: ModelRequest,
  options: RetryOptions,
  signal: AbortSignal,
  patience?: Patience,
): AsyncGenerator<ModelEvent> {
  const now = options.now ?? (() => performance.now());
  const startedAt = now();
  const endsAt = startedAt + request.timeoutMs;
  const lastStartAt = startedAt + Math.min(request.timeoutMs, patience?.withinMs ?? Infinity);
  for (let attempt = 1;; attempt++) {
    const silenceMs = Math.min(
      options.attemptTimeoutMs ?? Infinity,
      patience ? Math.max(1, lastStartAt - now()) : Infinity,
    );
    const bounds = { timeoutMs: Math.max(1, endsAt - now()), ...(silenceMs === Infinity ? {} : { silenceMs }) };
    const failed = yield* attemptOnce(provider, { ...request, ...bounds }, signal);
    if (!failed) return;
    const waitMs = planWait(failed, attempt, options, patience);
    const isLast = waitMs === undefined;
    if (isLast || signal.aborted || now() + waitMs >= lastStartAt) return yield explain(failed, attempt, isLast);
    yield { type: "retry", attempt, waitMs, code: failed.code, message: failed.message };
    await options.delay(waitMs, signal);
    if (signal.aborted) return yield toFailed("cancelled", "cancelled");
  }
}

/** True for what a person has seen, or what will act: after it a call is never made again. */
export function isShown({ type }: ModelEvent): boolean {
  return type === "text" || type === "reasoning" || type === "tool_call" || type === "media";
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
    shown ||= isShown(event);
    yield event;
  }
  return undefined;
}

/** Ms to wait after this failed attempt, or undefined when it was the last one. Pure but for `random`. */
export function planWait(
  failed: Partial<Pick<Failed, "retryAfterMs" | "code">>,
  attempt: number,
  options: Pick<RetryOptions, "maxAttempts" | "backoffBaseMs" | "backoffMaxMs" | "jitter" | "random">,
  patience?: Patience,
): number | undefined {
  const asked = failed.retryAfterMs ?? 0;
  if (attempt >= (patience?.attemptsMax ?? options.maxAttempts)) return undefined;
  if (asked > (patience ? options.backoffMaxMs : LIMITS.retryAfterMsMax)) return undefined;
  if (patience && failed.code === "provider_timeout") return undefined;
  const backoff = Math.min(options.backoffMaxMs, options.backoffBaseMs * 2 ** Math.min(attempt - 1, 30));
  const spread = options.jitter ? backoff * (0.5 + options.random() / 2) : backoff;
  return Math.round(Math.max(spread, asked));
}

function explain(failed: Failed, attempt: number, isLast: boolean): Failed {
  if (!isLast) return failed;
  const notes = [
    ...(attempt === 1 ? [] : [`${attempt} attempts`]),
    ...(failed.retryAfterMs ? [`it asks to wait ${Math.ceil(failed.retryAfterMs / 1000)} s`] : []),
  ];
  return notes.length === 0 ? failed : { ...failed, message: `${failed.message} (${notes.join("; ")})` };
}
