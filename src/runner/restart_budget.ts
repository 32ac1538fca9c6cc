import { LIMITS } from "#/core/limits.ts";

/** Where time and chance come from. */
export interface RestartBudgetDeps {
  /** Ms that never jump back, as of `performance.now()`. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** How often a guest that ended by itself is replaced, and how soon. */
export class RestartBudget {
  readonly #deps: RestartBudgetDeps;
  #ends: readonly number[] = [];

  constructor(deps: RestartBudgetDeps) {
    this.#deps = deps;
  }

  /**
   * A guest has ended. Returns the ms to wait before the next one starts: none for the first in `guestCrashWindowMs`, then twice as long
   * each time, half of it by chance, so that two runners on one machine do not march in step. Undefined when `guestCrashesMax` are spent.
   */
  spend(): number | undefined {
    const now = this.#deps.now();
    const recent = this.#ends.filter((at) => at > now - LIMITS.guestCrashWindowMs);
    if (recent.length >= LIMITS.guestCrashesMax) return undefined;
    this.#ends = [...recent, now];
    if (recent.length === 0) return 0;
    const waitMs = Math.min(LIMITS.guestBackoffBaseMs * 2 ** (recent.length - 1), LIMITS.guestBackoffMaxMs);
    return waitMs / 2 + this.#deps.random() * waitMs / 2;
  }
}
