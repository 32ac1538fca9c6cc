import { AppError, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { newToken } from "#/lib/token.ts";
import type { GuestProcess } from "#/runner/guest_process.ts";
import type { RestartBudget } from "#/runner/restart_budget.ts";

/** What a supervisor needs of its runner. */
export interface SupervisorDeps {
  /** Starts a guest with the settings of now, on this port (0: any). Throws AppError `guest_failed`. */
  readonly spawn: (port: number, token: string) => GuestProcess;
  /** A guest listens: its address may be told. */
  readonly onUp: (port: number, token: string) => void;
  /** It is gone or goes: its address is nobody's from now on. */
  readonly onDown: () => void;
  /** Its clients are cut off now. */
  readonly onCut: () => void;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
  readonly budget: RestartBudget;
  /** The port that the person wants; 0: any. */
  readonly port: number;
  /** What an orderly restart gives the turns that run. */
  readonly drainMs: number;
}

/** What changes while no guest lives. `revert` takes back what `apply` did, also when that failed half-way. */
export interface Change {
  readonly apply: () => Promise<void>;
  readonly revert: () => Promise<void>;
}

interface Job extends Change {
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Owns the guest of a runner, one after another. A guest that ends by itself is replaced, with a growing wait and a bound; an orderly
 * restart drains it first. The next one gets the same port, so that clients come back to where they were, and with the same port the same
 * token: it opens nothing but that gateway, which knew it already. Another port gets another token, since somebody else has the first one.
 */
export class Supervisor {
  /** Settles when guests ended too often: with what to tell the person. Never rejects. */
  readonly gaveUp: Promise<AppError>;
  readonly #deps: SupervisorDeps;
  readonly #end = Promise.withResolvers<AppError>();
  readonly #closing = new AbortController();
  readonly #jobs: Job[] = [];
  #called = Promise.withResolvers<void>();
  #guest: GuestProcess;
  #token = newToken();
  #port: number;
  #restarts = 0;
  #isUp = false;
  #loop: Promise<void> = Promise.resolve();

  /** Starts the first guest. Throws AppError `guest_failed`. */
  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#port = deps.port;
    this.gaveUp = this.#end.promise;
    this.#guest = deps.spawn(deps.port, this.#token);
  }

  /** The guest of now, or the one that was there last. */
  get guest(): GuestProcess {
    return this.#guest;
  }

  /** Guests that took the place of another. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Its guest listens and takes turns. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** The port of the guest of now, or of the one that was there last. */
  get port(): number {
    return this.#port;
  }

  /** Waits for the first guest and replaces it from now on. Throws what kept it from listening: a first start is not tried again. */
  async open(): Promise<void> {
    this.#port = await this.#guest.listening;
    this.#up();
    this.#loop = this.#run();
  }

  /**
   * Restarts the guest in an orderly way, with a change in between; a second call waits for the first. When the change fails, or no guest
   * starts with it, it is reverted, a guest starts as before, and what went wrong is thrown.
   */
  restart(change: Change): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    const job = { ...change, done: Promise.withResolvers<void>() };
    this.#jobs.push(job);
    this.#called.resolve();
    return job.done.promise;
  }

  /** Before `close`: has the guest take no new turn, and resolves when none runs any more, or after `ms`. Its address is nobody's from now on. */
  async drain(ms: number): Promise<void> {
    this.#down(`it stops; turns have ${ms} ms to end`);
    await this.#guest.drain(ms);
  }

  /** Ends the guest and starts none any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#called.resolve();
    await this.#guest.close();
    await this.#loop;
    // A change may have been half done: what it started goes as well.
    await this.#guest.close();
    for (const { done } of this.#jobs.splice(0)) done.reject(closed());
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const code = this.#jobs.length > 0 ? undefined : await Promise.race([this.#guest.exited, this.#called.promise]);
      this.#called = Promise.withResolvers();
      if (this.#closing.signal.aborted) return;
      const job = this.#jobs.shift();
      if (job !== undefined) {
        if (!await this.#obey(job)) return;
      } else if (code !== undefined) {
        this.#down(`the guest ended by itself with code ${code}`);
        this.#deps.onCut();
        if (!await this.#replace(`it ended with code ${code}`)) return;
      }
    }
  }

  /** False when there is no guest any more. */
  async #obey({ apply, revert, done }: Job): Promise<boolean> {
    this.#down(`the guest is restarted; turns have ${this.#deps.drainMs} ms to end`);
    await this.#guest.drain(this.#deps.drainMs);
    this.#deps.onCut();
    await this.#guest.close();
    try {
      await apply();
      await this.#start(this.#port);
      done.resolve();
      return true;
    } catch (error) {
      await revert().catch((again) => this.#deps.onLog(`runner: a change could not be taken back: ${toReason(again)}`));
      const isBack = await this.#replace(toReason(error));
      done.reject(error);
      return isBack;
    }
  }

  /** Starts guests until one listens. False when none may be started any more. */
  async #replace(reason: string): Promise<boolean> {
    let last = reason;
    for (let port = this.#port;; port = this.#deps.port) {
      const waitMs = this.#deps.budget.spend();
      if (waitMs === undefined) {
        this.#giveUp(last);
        return false;
      }
      await delay(waitMs, this.#closing.signal);
      if (this.#closing.signal.aborted) return false;
      try {
        await this.#start(port);
        return true;
      } catch (error) {
        last = toReason(error);
        this.#deps.onLog(`runner: the next guest did not start: ${last}`);
      }
    }
  }

  async #start(port: number): Promise<void> {
    if (this.#closing.signal.aborted) throw closed();
    const token = port !== 0 && port === this.#port ? this.#token : newToken();
    this.#guest = this.#deps.spawn(port, token);
    try {
      this.#port = await this.#guest.listening;
    } catch (error) {
      await this.#guest.close();
      throw error;
    }
    this.#token = token;
    this.#restarts++;
    if (!this.#closing.signal.aborted) this.#up();
  }

  #up(): void {
    this.#isUp = true;
    this.#deps.onUp(this.#port, this.#token);
  }

  #down(why: string): void {
    this.#isUp = false;
    this.#deps.onDown();
    this.#deps.onLog(`runner: ${why}`);
  }

  #giveUp(reason: string): void {
    const minutes = LIMITS.guestCrashWindowMs / 60_000;
    const message =
      `the guest ended by itself more than ${LIMITS.guestCrashesMax} times in ${minutes} minutes, so it is not started again; ` +
      `the last time: ${reason}`;
    this.#deps.onLog(`runner: ${message}`);
    for (const { done } of this.#jobs.splice(0)) done.reject(closed());
    this.#end.resolve(new AppError("guest_failed", message));
  }
}

function closed(): AppError {
  return new AppError("cancelled", "the runner is stopping");
}

function toReason(error: unknown): string {
  return toPublicError(error, crypto.randomUUID()).message;
}
