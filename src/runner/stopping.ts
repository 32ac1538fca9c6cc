import { LIMITS } from "#/core/limits.ts";

/** An orderly stop, which a further word can shorten. */
export class Stopping {
  readonly #drain: (ms: number) => Promise<void>;
  readonly #close: () => Promise<void>;
  readonly #drainMs: number;
  readonly #cut = Promise.withResolvers<void>();
  #endsAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #done: Promise<void> | undefined;

  /** `drain` resolves when no turn runs any more, or after the given ms; `close` then ends the rest. `drainMs` is what a stop takes that says no time. */
  constructor(drain: (ms: number) => Promise<void>, close: () => Promise<void>, drainMs: number = LIMITS.drainMs) {
    this.#drain = drain;
    this.#close = close;
    this.#drainMs = drainMs;
  }

  /** Somebody has asked for it. */
  get isOn(): boolean {
    return this.#done !== undefined;
  }

  /** Resolves when it is done. A second call can only end the wait for turns sooner. */
  stop(drainMs: number = this.#drainMs): Promise<void> {
    const endsAt = performance.now() + drainMs;
    if (endsAt < this.#endsAt) {
      this.#endsAt = endsAt;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#cut.resolve, drainMs);
    }
    return this.#done ??= this.#run(drainMs);
  }

  async #run(drainMs: number): Promise<void> {
    await Promise.race([this.#drain(drainMs), this.#cut.promise]);
    clearTimeout(this.#timer);
    await this.#close();
  }
}
