import { LIMITS } from "#/core/limits.ts";

/** How much one key may ask. */
export interface Rate {
  readonly perSecMax: number;
  /** At once, after a pause. */
  readonly burstMax: number;
}

interface Bucket {
  left: number;
  at: number;
}

/**
 * What each key may still ask (token bucket). At most `ratedMax` keys are remembered; the one that asked longest ago is forgotten first, and
 * one that is forgotten starts full, so more keys than that at once slow nobody down and fill no memory. A clock that goes back gives
 * nothing and takes nothing.
 */
export class Rates {
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** `now` in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes one; 0, or the milliseconds until there is one to take, and then nothing was taken. */
  spend(key: string, rate: Rate): number {
    const bucket = this.#fill(key, rate);
    if (bucket.left < 1) return toWait(bucket, rate);
    bucket.left -= 1;
    return 0;
  }

  /** What `spend` would say; takes nothing. */
  peek(key: string, rate: Rate): number {
    const bucket = this.#buckets.has(key) ? this.#fill(key, rate) : undefined;
    return bucket === undefined || bucket.left >= 1 ? 0 : toWait(bucket, rate);
  }

  #fill(key: string, { perSecMax, burstMax }: Rate): Bucket {
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { left: burstMax, at: now };
    const passedMs = Math.max(0, now - bucket.at);
    bucket.left = Math.min(burstMax, bucket.left + passedMs * perSecMax / 1_000);
    bucket.at = now;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > LIMITS.ratedMax && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}

function toWait({ left }: Bucket, { perSecMax }: Rate): number {
  return Math.ceil((1 - left) * 1_000 / perSecMax);
}
