import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ChildPlan } from "#/sandbox/child_plan.ts";
import { type ChildRequest, type OnHostCall, ToolChild } from "#/sandbox/child_process.ts";
import type { ComponentPackage } from "#/sandbox/component.ts";
import type { ToolReply } from "#/sandbox/outcome.ts";

/** What a pool needs; the bounds default to LIMITS. */
export interface ChildrenOptions {
  readonly component: ComponentPackage;
  readonly plan: ChildPlan;
  readonly childrenMax?: number;
  readonly callsMax?: number;
  readonly bytesMax?: number;
  readonly idleMs?: number;
}

/** The tool children of one component package. */
export interface Children {
  /**
   * Runs one call in a child of its own. Resolves for every trouble of the tool or its process; throws AppError `cancelled` when the
   * signal fires and `queue_full` when too many calls wait. The wait for a child does not count into `timeoutMs`.
   */
  run(request: ChildRequest, onHostCall: OnHostCall, signal: AbortSignal): Promise<ToolReply>;
  /** Starts the first child, so that the first call finds it loaded. Throws AppError `tool_crashed`. */
  warm(): Promise<void>;
  /** Process ids of the children that are alive. */
  readonly pids: readonly number[];
  /** Kills every child and waits until they are gone; calls that wait are cancelled. */
  close(): Promise<void>;
}

/** Opens a pool. No process starts before the first call or `warm()`. */
export function openChildren(options: ChildrenOptions): Children {
  return new ChildPool(options);
}

/** From this many calls before a child is replaced, its successor is started, so that no call waits for the start. */
const CALLS_BEFORE_REPLACEMENT = 40;

class ChildPool implements Children {
  readonly #options: Required<ChildrenOptions>;
  /** Counted against the bound: loading, busy or free. */
  readonly #alive = new Set<ToolChild>();
  /** Not gone yet, killed ones included. */
  readonly #processes = new Set<ToolChild>();
  /** Loaded and free, the longest idle first, with the time since when. */
  readonly #idle: { readonly child: ToolChild; readonly since: number }[] = [];
  /** Calls that wait for a child, the longest first. */
  readonly #waiting: PromiseWithResolvers<ToolChild>[] = [];
  #starting = 0;
  #sweep: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(options: ChildrenOptions) {
    const { childrenPerPackageMax: childrenMax, childCallsMax: callsMax, childBytesMax: bytesMax } = LIMITS;
    this.#options = { childrenMax, callsMax, bytesMax, idleMs: LIMITS.childIdleMs, ...options };
  }

  get pids(): readonly number[] {
    return [...this.#alive].filter((child) => !child.dead).map((child) => child.pid);
  }

  async run(request: ChildRequest, onHostCall: OnHostCall, signal: AbortSignal): Promise<ToolReply> {
    if (signal.aborted) throw new AppError("cancelled", "the call was cancelled");
    let child: ToolChild;
    try {
      child = this.#takeIdle() ?? await this.#waitForChild(signal);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "tool_crashed") throw error;
      return { ok: false, code: "tool_crashed", text: error.message, outputBytes: 0, elapsedMs: 0 };
    }
    try {
      return await child.call(request, onHostCall, signal);
    } finally {
      this.#release(child);
    }
  }

  async warm(): Promise<void> {
    if (this.#alive.size > 0 || this.#closed) return;
    try {
      await this.#start();
    } catch (error) {
      // A call may have counted on this child.
      this.#startForWaiting();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#sweep);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new AppError("cancelled", "the tools are closing"));
    for (const child of this.#processes) child.kill();
    await Promise.all([...this.#processes].map((child) => child.ended));
  }

  /** The child that was used last: the others can leave. */
  #takeIdle(): ToolChild | undefined {
    for (let free = this.#idle.pop(); free !== undefined; free = this.#idle.pop()) {
      if (!free.child.dead) return free.child;
    }
    return undefined;
  }

  async #waitForChild(signal: AbortSignal): Promise<ToolChild> {
    if (this.#closed) throw new AppError("cancelled", "the tools are closed");
    if (this.#waiting.length >= LIMITS.brokerCallsMax) {
      throw new AppError("queue_full", "too many calls wait for a tool process");
    }
    const waiting = Promise.withResolvers<ToolChild>();
    this.#waiting.push(waiting);
    this.#startForWaiting();
    const onAbort = () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
      waiting.reject(new AppError("cancelled", "the call was cancelled"));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await waiting.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #startForWaiting(): void {
    // Counted before: a start that fails at once is not tried again for the same call.
    const wanted = Math.min(this.#waiting.length - this.#starting, this.#options.childrenMax - this.#alive.size);
    for (let started = 0; started < wanted; started++) {
      // Its failure reaches the first call that waits.
      this.#start().catch((error) => this.#waiting.shift()?.reject(error));
    }
  }

  /** Starts one child and makes it free. Throws AppError `tool_crashed`. */
  async #start(): Promise<void> {
    this.#starting++;
    let child: ToolChild | undefined;
    try {
      child = new ToolChild(this.#options.plan);
      this.#alive.add(child);
      this.#processes.add(child);
      child.ended.then(() => this.#forget(child!));
      await child.load(this.#options.component);
    } catch (error) {
      if (child !== undefined) this.#alive.delete(child);
      child?.kill();
      throw error;
    } finally {
      this.#starting--;
    }
    this.#offer(child);
  }

  /** Gives a loaded child to the call that waits longest, or keeps it. */
  #offer(child: ToolChild): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next.resolve(child);
    this.#idle.push({ child, since: performance.now() });
    this.#armSweep();
  }

  /** After a call: the child goes on, or is replaced because it is dead, old or large. */
  #release(child: ToolChild): void {
    const spent = !child.dead &&
      (child.calls >= this.#options.callsMax || child.residentBytes() > this.#options.bytesMax);
    if (spent) child.kill();
    if (child.dead) this.#alive.delete(child);
    if (this.#closed) return;
    if (!child.dead) this.#offer(child);
    this.#startForWaiting();
    const soonSpent = child.dead || child.calls >= this.#options.callsMax - CALLS_BEFORE_REPLACEMENT;
    const others = this.#alive.size - (child.dead ? 0 : 1);
    if (soonSpent && others === 0) this.#startSpare();
  }

  /** One warm child stays: the next call does not wait for a start. When that fails, the next call tries again and reports it. */
  #startSpare(): void {
    if (!this.#closed && this.#starting === 0) this.#start().catch(() => this.#startForWaiting());
  }

  /** The process is gone, killed or by itself. */
  #forget(child: ToolChild): void {
    this.#processes.delete(child);
    const isLoss = this.#alive.delete(child);
    const at = this.#idle.findIndex((free) => free.child === child);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#closed) return;
    this.#startForWaiting();
    // Not for one that ended before it served: that would go on for ever.
    if (isLoss && this.#alive.size === 0 && child.calls > 0) this.#startSpare();
  }

  /** A child leaves when nobody needed it for `idleMs`, the last one as well: a turn that begins calls `warm`. */
  #armSweep(): void {
    if (this.#sweep !== undefined || this.#closed) return;
    const sweep = setTimeout(() => {
      this.#sweep = undefined;
      const before = performance.now() - this.#options.idleMs;
      for (const { child, since } of [...this.#idle]) {
        if (since <= before) this.#dismiss(child);
      }
      if (this.#idle.some(({ since }) => since > before)) this.#armSweep();
    }, this.#options.idleMs);
    Deno.unrefTimer(sweep);
    this.#sweep = sweep;
  }

  #dismiss(child: ToolChild): void {
    child.kill();
    this.#idle.splice(this.#idle.findIndex((free) => free.child === child), 1);
    this.#alive.delete(child);
  }
}
