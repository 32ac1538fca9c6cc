import { AppError } from "#/core/error.ts";

/** Bounds of one owner's lanes. */
export interface LaneBounds {
  /** Entries of one owner that run at the same time. */
  readonly runningMax: number;
  /** Entries of one owner and one priority that wait; one more is refused with `queue_full`. */
  readonly queuedMax: number;
}

/** `chat`: somebody waits for it. `background`: nobody does. */
export type Priority = "chat" | "background";

/** The right to run, until it is given back. */
export interface Lease {
  /** Gives the lane to whoever waits. A second call does nothing. */
  release(): void;
}

interface Waiter {
  readonly lane: string;
  readonly priority: Priority;
  readonly start: (lease: Lease) => void;
}

interface Owner {
  readonly running: Set<string>;
  readonly waiting: Waiter[];
}

/**
 * First come, first served: at most one entry runs in a lane, at most `runningMax` for an owner. When something ends, the entry
 * that has waited longest among those whose lane is free goes next, so that a busy lane holds nobody else up and nobody starves.
 * Chat goes before background, whose entries never take the last place that is free: it is chat's, and a chat that comes finds it. Where
 * there is one place only, background has it while no chat wants it. Among equals the order is that of coming.
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
  enter(owner: string, lane: string, signal: AbortSignal, priority: Priority = "chat"): Promise<Lease> {
    if (signal.aborted) return Promise.reject(new AppError("cancelled", "cancelled before it was queued"));
    const state = this.#owners.get(owner) ?? { running: new Set<string>(), waiting: [] };
    const entry = { lane, priority };
    // Who could start has started: nobody is overtaken here.
    if (this.#mayStart(state, entry)) return Promise.resolve(this.#start(owner, state, lane));
    const waiting = state.waiting.filter((other) => other.priority === priority).length;
    if (waiting >= this.#bounds.queuedMax) {
      const message = `${waiting} messages are waiting already; send this one again when some are answered`;
      return Promise.reject(new AppError("queue_full", message, { params: { waiting } }));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        state.waiting.splice(state.waiting.indexOf(waiter), 1);
        reject(new AppError("cancelled", "cancelled while it was queued"));
      };
      const waiter: Waiter = {
        ...entry,
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

  #mayStart(state: Owner, { lane, priority }: Pick<Waiter, "lane" | "priority">): boolean {
    const { runningMax } = this.#bounds;
    const places = priority === "chat" || runningMax === 1 ? runningMax : runningMax - 1;
    return state.running.size < places && !state.running.has(lane);
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
    const mayStart = (waiter: Waiter) => this.#mayStart(state, waiter);
    const next = state.waiting.find((waiter) => waiter.priority === "chat" && mayStart(waiter)) ??
      state.waiting.find(mayStart);
    if (next !== undefined) {
      state.waiting.splice(state.waiting.indexOf(next), 1);
      next.start(this.#start(owner, state, next.lane));
    }
    if (state.running.size === 0) this.#owners.delete(owner);
  }
}
