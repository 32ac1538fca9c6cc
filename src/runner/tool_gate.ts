import type { Outcome, Sandbox } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { ToolHost } from "#/runner/tool_host.ts";
import type { Broker } from "#/sandbox/broker.ts";

/**
 * The tool host of now, in front of which calls wait while another takes its place: policy, roots and secrets change between calls, and
 * the guest does not notice.
 */
export class ToolGate implements Sandbox {
  #host: Promise<ToolHost>;
  #running = 0;
  /** Settles when calls may go on. */
  #calls: Promise<void> | undefined;
  /** Settles when there is a host again. */
  #swap: Promise<void> | undefined;
  #wake: () => void = () => {};
  readonly #stopped = new AbortController();

  constructor(first: Promise<ToolHost>) {
    this.#host = first;
    first.catch(() => {});
  }

  /** The host of now; one that is being opened is waited for. Rejects with what kept it from opening. */
  async host(): Promise<ToolHost> {
    while (this.#swap !== undefined) await this.#swap;
    return await this.#host;
  }

  /** As `Broker.call`. */
  async call(...[request, signal, onOutput]: Parameters<Broker["call"]>): Promise<Outcome> {
    while (this.#calls !== undefined && !signal.aborted) await untilAborted(this.#calls, signal);
    this.#running++;
    try {
      return await (await this.#host).broker.call(request, signal, onOutput);
    } finally {
      this.#running--;
      this.#wake();
    }
  }

  /** As `Broker.answer`. */
  async answer(given: Parameters<Broker["answer"]>[0]): Promise<void> {
    await (await this.host()).broker.answer(given);
  }

  /** As `Broker.derived`. */
  async derived(...place: Parameters<Broker["derived"]>): Promise<void> {
    await (await this.host()).broker.derived(...place);
  }

  /** As `Sandbox.forget`. Before another host takes over, the old one ends all that it has. */
  async forget(session: string): Promise<void> {
    await (await this.host()).broker.forget(session);
  }

  /**
   * Puts another host in the place of this one, when no call runs or after `waitMs`: what runs then ends as interrupted. The old one is
   * closed first, since both write the same files. When `open` fails, `reopen` opens what was there before and the error is thrown.
   */
  async swap(open: () => Promise<ToolHost>, reopen: () => Promise<ToolHost>, waitMs: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    this.#calls = over.promise;
    try {
      await this.#idle(waitMs);
      if (this.#stopped.signal.aborted) throw new AppError("cancelled", "the runner is stopping");
      this.#swap = over.promise;
      const old = await this.#host.catch(() => undefined);
      await old?.close();
      this.#host = open();
      await this.#host.catch((error) => {
        this.#host = reopen();
        return this.#host.then(() => Promise.reject(error));
      });
    } finally {
      this.#host.catch(() => {});
      this.#calls = undefined;
      this.#swap = undefined;
      over.resolve();
    }
  }

  /** No swap begins any more; one that waits for calls gives up with AppError `cancelled`. */
  stopSwaps(): void {
    this.#stopped.abort();
  }

  /** Closes the host; calls that come later are refused by it. */
  async close(): Promise<void> {
    await (await this.host().catch(() => undefined))?.close();
  }

  async #idle(waitMs: number): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), waitMs);
    const signal = AbortSignal.any([late.signal, this.#stopped.signal]);
    while (this.#running > 0 && !signal.aborted) {
      await untilAborted(new Promise<void>((resolve) => this.#wake = resolve), signal);
    }
    clearTimeout(timer);
  }
}
