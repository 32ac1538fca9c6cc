import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { type Engine, isRefused } from "#/sandbox/engine.ts";
import type { EngineStdio } from "#/sandbox/engine_stream.ts";
import type { WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { isAlive, readText } from "#/sandbox/tier_tree.ts";
import type { TierWatch } from "#/sandbox/tier_watch.ts";

/** What a container that was started is made of. */
export interface ContainerParts {
  readonly engine: Engine;
  readonly id: string;
  /** Of its first process, on the host: an engine that is lost later cannot say it any more. */
  readonly pid: number;
  readonly stdio: EngineStdio;
  readonly spec: WalledSpec;
  readonly watch: TierWatch;
  /** Told how it ended, and whether the engine has removed it. */
  readonly onEnd: (end: WalledEnd, isRemoved: boolean) => void;
}

const NO_SIGNAL = new AbortController().signal;
const KILLED = 137;

/** One container that was started. */
export class WalledContainer implements WalledProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exited: Promise<WalledEnd>;
  /** Settles when the engine has removed it, or could not. Never rejects. */
  readonly removed: Promise<void>;
  readonly #parts: ContainerParts;
  /** Fires when the engine does not even kill. */
  readonly #lost = new AbortController();
  readonly #removed = Promise.withResolvers<void>();
  #reason: string | undefined;
  #hasEnded = false;
  #isKilled = false;

  /** Watches it from now on. */
  constructor(parts: ContainerParts) {
    const { stdio, spec: { mounts, limits }, watch } = parts;
    this.#parts = parts;
    this.removed = this.#removed.promise;
    [this.stdin, this.stdout, this.stderr] = [stdio.stdin, stdio.stdout, stdio.stderr];
    const unwatch = watch.add({ mounts, limits }, (reason) => {
      this.#reason = reason;
      void this.kill();
    });
    this.exited = this.#wait().finally(() => {
      this.#hasEnded = true;
      unwatch();
    });
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#parts.stdio.drop();
    try {
      if (!this.#hasEnded) await this.#parts.engine.kill(this.#parts.id, "SIGKILL", NO_SIGNAL);
    } catch (error) {
      // Refused because it runs no more, or the engine is lost.
      if (!isRefused(error, 409) && !isRefused(error, 404)) this.#lost.abort();
    }
    await this.exited;
  }

  async #wait(): Promise<WalledEnd> {
    const { engine, id, onEnd, stdio } = this.#parts;
    try {
      const code = await engine.wait(id, this.#lost.signal);
      const reason = this.#reason ?? (code === KILLED ? await this.#readReason() : undefined);
      const end = { code, ...reason === undefined ? {} : { reason } };
      void this.#tidy(end);
      return end;
    } catch (error) {
      const why = this.#lost.signal.aborted || !(error instanceof AppError) ? "hangs" : "was lost";
      const isGone = await killContainer(this.#parts);
      const what = isGone ? "what ran in it was ended" : "what ran in it may go on until the engine is back";
      const end = { code: KILLED, reason: `The container engine ${why}: ${what}` };
      stdio.close();
      onEnd(end, false);
      this.#removed.resolve();
      return end;
    }
  }

  /** An engine does not remove a container whose output it still holds: a reader has its time, unless this was killed. */
  async #tidy(end: WalledEnd): Promise<void> {
    const { engine, id, onEnd, stdio } = this.#parts;
    const ms = this.#isKilled ? LIMITS.tierWatchMs : LIMITS.engineDrainMs;
    await untilAborted(stdio.ended, AbortSignal.timeout(ms));
    stdio.close();
    onEnd(end, await engine.remove(id, NO_SIGNAL).then(() => true, () => false));
    this.#removed.resolve();
  }

  async #readReason(): Promise<string | undefined> {
    const state = await this.#parts.engine.inspect(this.#parts.id, NO_SIGNAL).catch(() => undefined);
    const { memoryBytesMax } = this.#parts.spec.limits;
    return state?.oomKilled ? `It used more than ${Math.floor(memoryBytesMax / 1_048_576)} MiB of memory` : undefined;
  }
}

/**
 * Ends a container without its engine: its first process, by its id on this machine, takes all others along. False where it is not ours to end,
 * or does not end within `engineKillMs`.
 */
export async function killContainer({ pid, id }: Pick<ContainerParts, "pid" | "id">): Promise<boolean> {
  try {
    // An engine may be on another machine, and a number may be another's by now: the control group has the container's name.
    if (pid === 0 || !Deno.readTextFileSync(`/proc/${pid}/cgroup`).includes(id)) return false;
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
  const late = AbortSignal.timeout(LIMITS.engineKillMs);
  while (isAlive(pid) && !late.aborted) await delay(LIMITS.wallGoneMs, late);
  return !isAlive(pid);
}

/** This process, as containers are labelled with it: its id, and when it started in the kernel's ticks where Linux says it. */
export function toRunner(pid: number = Deno.pid): string {
  const stat = readText(`/proc/${pid}/stat`);
  // Field 22; the name before it is the process's own choice, blanks and parentheses included.
  return `${pid}.${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""}`;
}

/** True while the process that a label names lives. Where a system does not say it, all others are dead: a workspace has one runner. */
export function isRunnerAlive(runner: string): boolean {
  const pid = /^\d+(?=\.\d+$)/.exec(runner)?.[0];
  return runner === toRunner() || pid !== undefined && runner === toRunner(Number(pid));
}
