import { AppError } from "#/core/error.ts";

/** Bounds of one owner's lanes. */
export interface LaneBounds {
  /** Entries of one owner that run at the same time. */
  readonly runningMax: number;
  /** Entries of one owner that wait; one more is refused with `queue_full`. */
  readonly queuedMax: number;
}

/** The right to run, until it is given back. */
export interface Lease {
  /** Gives the lane to whoever waits. A second call does nothing. */
  release(): void;
}

interface Waiter {
  readonly lane: string;
  readonly start: (lease: Lease) => void;
}

interface Owner {
  readonly running: Set<string>;
  readonly waiting: Waiter[];
}

/**
 * First come, first served: at most one entry runs in a lane, at most `runningMax` for an owner. When something ends, the entry
 * that has waited longest among those whose lane is free goes next, so that a busy lane holds nobody else up and nobody starves.
 */
export class Lanes {
  readonly #bounds: LaneBounds;
  readonly #owners = new Map<string, Owner>();

  constructor(bounds: LaneBounds) {
    if (bounds.runningMax < 1 || bounds.queuedMax < 0) throw new RangeError("lanes need room for one");
    this.#bounds = bounds;
  }

  /**
   * Resolves when it is this entry's turn. Rejects with AppError `queue_full` at once when too many wait, with `cancelled` when the
   * signal fires before the turn came; neither leaves a trace.
   */
  enter(owner: string, lane: string, signal: AbortSignal): Promise<Lease> {
    if (signal.aborted) return Promise.reject(new AppError("cancelled", "cancelled before it was queued"));
    const state = this.#owners.get(owner) ?? { running: new Set<string>(), waiting: [] };
    if (this.#isFree(state, lane)) return Promise.resolve(this.#start(owner, state, lane));
    if (state.waiting.length >= this.#bounds.queuedMax) {
      const message =
        `${state.waiting.length} messages are waiting already; send this one again when some are answered`;
      return Promise.reject(new AppError("queue_full", message, { params: { waiting: state.waiting.length } }));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        state.waiting.splice(state.waiting.indexOf(waiter), 1);
        reject(new AppError("cancelled", "cancelled while it was queued"));
      };
      const waiter: Waiter = {
        lane,
        start(lease) {
          signal.removeEventListener("abort", leave);
          resolve(lease);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      state.waiting.push(waiter);
    });
  }

  /** Entries of an owner: how many run, how many wait. */
  load(owner: string): { readonly running: number; readonly waiting: number } {
    const state = this.#owners.get(owner);
    return { running: state?.running.size ?? 0, waiting: state?.waiting.length ?? 0 };
  }

  /** Owners that have something running. */
  get owners(): number {
    return this.#owners.size;
  }

  #isFree(state: Owner, lane: string): boolean {
    return state.running.size < this.#bounds.runningMax && !state.running.has(lane);
  }

  #start(owner: string, state: Owner, lane: string): Lease {
    this.#owners.set(owner, state);
    state.running.add(lane);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        state.running.delete(lane);
        this.#next(owner, state);
      },
    };
  }

  #next(owner: string, state: Owner): void {
    const at = state.waiting.findIndex((waiter) => this.#isFree(state, waiter.lane));
    const [waiter] = at === -1 ? [] : state.waiting.splice(at, 1);
    if (waiter !== undefined) waiter.start(this.#start(owner, state, waiter.lane));
    if (state.running.size === 0) this.#owners.delete(owner);
  }
}
