import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Failed } from "#/provider/failure.ts";

/** How long a circuit stays open, and by which clock. */
export interface CircuitOptions {
  readonly cooldownMs: number;
  /** Ms, of a clock that does not go back. */
  readonly now: () => number;
}

/**
 * What the last calls of one entry say of the next one. Closed: it is asked. Open: others are asked first until the cooldown is over, or
 * until the time that the vendor named in Retry-After, at most `circuitOpenMsMax`. Half-open: one call tries it while others go on to
 * the next. It opens after `circuitFailuresMax` failed attempts in a row, and at once for what another attempt would not cure (a
 * refused key, an unknown model, a used up quota, something that is no stream) or what cost the most (silence).
 */
export class Circuit {
  readonly #options: CircuitOptions;
  #failures = 0;
  #opensAt: number | undefined;
  #code: ErrorCode | undefined;
  #isProbed = false;

  constructor(options: CircuitOptions) {
    this.#options = options;
  }

  /** Nothing speaks against asking. */
  get isClosed(): boolean {
    return this.#opensAt === undefined;
  }

  /** Closed, or half-open and not being tried by another call. */
  get isReady(): boolean {
    return this.isClosed || (this.waitMs === 0 && !this.#isProbed);
  }

  /** Ms until it is half-open; 0 when it is, or when it is closed. */
  get waitMs(): number {
    return Math.max(0, (this.#opensAt ?? 0) - this.#options.now());
  }

  /** Code of the failure that opened it; undefined when it is closed. */
  get code(): ErrorCode | undefined {
    return this.isClosed ? undefined : this.#code;
  }

  /** A call begins. Returns what ends its trial. */
  enter(): () => void {
    if (this.isClosed || this.#isProbed) return () => {};
    this.#isProbed = true;
    return () => void (this.#isProbed = false);
  }

  /** An attempt failed and is made again. */
  noteAttempt(): void {
    this.#failures++;
  }

  /** A call ended. What was wrong with the request itself, and a cancel, say nothing against the entry. */
  noteEnd(end: Failed | "done"): void {
    if (end === "done" || end.code === "provider_rejected") {
      this.#failures = 0;
      this.#opensAt = undefined;
    } else if (end.code !== "cancelled") {
      this.#failures++;
      const opens = this.#failures >= LIMITS.circuitFailuresMax || !end.retryable || end.code === "provider_timeout" ||
        end.retryAfterMs !== undefined;
      if (!opens && this.isClosed) return;
      const waitMs = Math.min(Math.max(this.#options.cooldownMs, end.retryAfterMs ?? 0), LIMITS.circuitOpenMsMax);
      this.#opensAt = this.#options.now() + waitMs;
      this.#code = end.code;
    }
  }
}
