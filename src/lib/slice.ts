import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** Long file work in slices of `sliceMs`, so that other calls, cancels and deadlines get their turn in between. */
export class Slice {
  readonly #signal: AbortSignal | undefined;
  #startedAt = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** True when the slice is used up and `pause` should be awaited. */
  get used(): boolean {
    return performance.now() - this.#startedAt >= LIMITS.sliceMs;
  }

  /** Lets everyone else run, then starts a new slice. Throws AppError `cancelled` when the signal fired. */
  async pause(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    throwIfAborted(this.#signal);
    this.#startedAt = performance.now();
  }
}

/** Throws AppError `cancelled` when the signal fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AppError("cancelled", "The call was cancelled");
}
