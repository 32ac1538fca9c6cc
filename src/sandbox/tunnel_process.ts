import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { type Link, openLink } from "#/lib/link.ts";
import { drain, spawnPiped } from "#/lib/spawn_piped.ts";
import { endProcess } from "#/sandbox/ask_process.ts";
import type { EgressPlan } from "#/sandbox/egress_plan.ts";
import { TunnelAsk, TunnelEnd, type TunnelOrder, type TunnelRoute } from "#/sandbox/tunnel_frames.ts";

/** One process of ways out, and what the runner does for it. */
export interface TunnelProcessOptions {
  readonly plan: EgressPlan;
  /** What a process listens on from its start. */
  readonly toListen: () => readonly (readonly [tunnel: number | null, path: string])[];
  readonly onAsk: (ask: TunnelAsk) => Promise<TunnelRoute>;
  readonly onEnd: (end: TunnelEnd) => void;
  /** What it wrote to stderr, and that it died. */
  readonly onLog: (text: string) => void;
}

/** A process that lives. */
interface Running {
  readonly child: Deno.ChildProcess;
  readonly link: Link;
  readonly startedAt: number;
  readonly listening: Map<number | null, Promise<void>>;
}

/** Starts on demand; one that dies is replaced and listens where the one before did. What breaks the protocol or hangs is killed. */
export class TunnelProcess {
  readonly plan: EgressPlan;
  readonly #options: TunnelProcessOptions;
  #running: Running | undefined;
  #isWanted = false;
  #waitMs: number = LIMITS.tunnelRestartMs;

  constructor(options: TunnelProcessOptions) {
    this.plan = options.plan;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** Resolves when it listens there, and it does so again whenever it was replaced. Throws AppError `egress_failed`. */
  async listen(tunnel: number | null, path: string): Promise<void> {
    this.#isWanted = true;
    const running = this.#running ??= this.#spawn();
    const known = running.listening.get(tunnel);
    if (known !== undefined) return await known;
    const told = this.#tell(running, { op: "listen", tunnel, path });
    running.listening.set(tunnel, told);
    await told;
  }

  /** Has it do something; nothing happens when it does not run. Throws AppError `egress_failed`. */
  async order(order: Exclude<TunnelOrder, { op: "listen" }>): Promise<void> {
    if (this.#running === undefined) return;
    if (order.op === "close") this.#running.listening.delete(order.tunnel);
    await this.#tell(this.#running, order);
  }

  /** Ends it; resolves when it is gone. */
  async end(): Promise<void> {
    this.#isWanted = false;
    const running = this.#running;
    if (running === undefined) return;
    endProcess(running.child);
    await running.link.close();
    await running.child.status;
  }

  #spawn(): Running {
    try {
      const child = spawnPiped(this.plan);
      const link = openLink({ input: new ByteReader(child.stdout), output: child.stdin }, {
        onRequest: async (body) => {
          const ask = TunnelAsk.safeParse(body);
          if (!ask.success) throw new AppError("egress_denied", "The request is malformed, so it was refused");
          return { body: await this.#options.onAsk(ask.data), content: new Uint8Array(0) };
        },
        onNotice: (body) => this.#options.onEnd(TunnelEnd.parse(body)),
      });
      const running: Running = { child, link, startedAt: Date.now(), listening: new Map() };
      void link.closed.then(() => this.#onGone(running));
      void drain(child.stderr, this.#options.onLog);
      return running;
    } catch (cause) {
      throw new AppError("egress_failed", "The egress process cannot be started", { cause });
    }
  }

  async #tell({ child, link }: Running, order: TunnelOrder): Promise<void> {
    const timer = setTimeout(() => endProcess(child), LIMITS.tunnelObeyMs);
    try {
      await link.request(order, new AbortController().signal);
    } catch (cause) {
      // A way out that was not closed when it should be is worse than none.
      endProcess(child);
      throw new AppError("egress_failed", "The egress process did not obey and was stopped", { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  async #onGone(running: Running): Promise<void> {
    endProcess(running.child);
    await running.child.status;
    if (this.#running === running) this.#running = undefined;
    if (!this.#isWanted) return;
    if (Date.now() - running.startedAt > 60_000) this.#waitMs = LIMITS.tunnelRestartMs;
    this.#options.onLog(`the egress process of tunnels ended; the next one starts in ${this.#waitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, this.#waitMs));
    this.#waitMs = Math.min(this.#waitMs * 2, LIMITS.tunnelRestartMsMax);
    if (!this.#isWanted) return;
    // What fails has killed it, and that brings the next one.
    await Promise.allSettled(this.#options.toListen().map(([tunnel, path]) => this.listen(tunnel, path)));
  }
}
