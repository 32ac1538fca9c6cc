import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { type EgressOptions, toWaysOut, type WaysOut } from "#/sandbox/egress_client.ts";
import { type EgressPlan, planEgress } from "#/sandbox/egress_plan.ts";
import type { ConnectTarget, Tunnel, Tunnels } from "#/sandbox/tunnel.ts";
import type { TunnelAsk, TunnelEnd, TunnelRoute } from "#/sandbox/tunnel_frames.ts";
import { TunnelProcess } from "#/sandbox/tunnel_process.ts";

/** What ways out are opened with. */
export interface TunnelsOptions extends EgressOptions {
  /** Of the sockets: a folder of ours alone, made and emptied here. Its path is at most 80 bytes. */
  readonly dir: string;
  /** How a connection was, for the audit: `id` is the tunnel's. */
  readonly onEnd: (end: TunnelEnd & { readonly id: string }) => void;
}

/** Ways out, and what they run on. */
export interface OpenTunnels extends Tunnels {
  readonly plans: readonly EgressPlan[];
  readonly pids: readonly number[];
}

/** Opens the ways out of what is behind walls; no process is started yet. Throws AppError `config_invalid` as `openEgress`. */
export function openTunnels(options: TunnelsOptions): OpenTunnels {
  return new ProcessTunnels(options);
}

interface Slot {
  readonly id: string;
  readonly isOpen: (target: ConnectTarget) => boolean;
  isArmed: boolean;
}

class ProcessTunnels implements OpenTunnels {
  readonly #options: TunnelsOptions;
  readonly #ways: WaysOut;
  readonly #slots: (Slot | undefined)[] = [];
  /** What listens behind the walls; and, where both kinds of hosts can be reached, what it hands the listed ones to. */
  readonly #front: TunnelProcess;
  readonly #back: TunnelProcess | undefined;

  constructor(options: TunnelsOptions) {
    this.#options = options;
    this.#ways = toWaysOut(options);
    const { isPublic, listed } = this.#ways;
    const { onLog } = options;
    const plan = (hosts: readonly string[] | undefined, paths: readonly string[]) =>
      planEgress(options.plan, hosts, { dir: options.dir, paths });
    const onEnd = (end: TunnelEnd) => {
      options.onEnd({ ...end, id: this.#slots[end.tunnel]?.id ?? "closed" });
    };
    const all = Array.from({ length: LIMITS.tunnelsMax }, (_, slot) => this.#path(slot));
    this.#front = new TunnelProcess({
      plan: isPublic ? plan(undefined, []) : plan(listed!.hosts, all),
      toListen: () => this.#slots.flatMap((slot, at) => slot?.isArmed ? [[at, this.#path(at)]] : []),
      onAsk: (ask) => this.#answer(ask, "front"),
      onEnd,
      onLog,
    });
    if (!isPublic || listed === undefined) return;
    this.#back = new TunnelProcess({
      plan: plan(listed.hosts, [this.#relayPath]),
      toListen: () => [[null, this.#relayPath]],
      onAsk: (ask) => this.#answer(ask, "back"),
      onEnd,
      onLog,
    });
  }

  get plans(): readonly EgressPlan[] {
    return this.#processes.map(({ plan }) => plan);
  }

  get pids(): readonly number[] {
    return this.#processes.flatMap(({ pid }) => pid === undefined ? [] : [pid]);
  }

  // deno-lint-ignore require-await -- what a folder refuses is a rejection, like everything else
  async open(id: string, isOpen: (target: ConnectTarget) => boolean): Promise<Tunnel> {
    const at = Array.from({ length: LIMITS.tunnelsMax }, (_, at) => at).find((at) => this.#slots[at] === undefined);
    if (at === undefined) throw new AppError("queue_full", "Too many ways out are open");
    const slot: Slot = { id, isOpen, isArmed: false };
    const dir = join(this.#options.dir, `${at}`);
    remove(dir);
    Deno.mkdirSync(this.#options.dir, { recursive: true, mode: 0o700 });
    Deno.mkdirSync(dir);
    this.#slots[at] = slot;
    return {
      dir,
      arm: async () => {
        if (this.#slots[at] !== slot) throw new AppError("egress_failed", "The way out is closed");
        slot.isArmed = true;
        await this.#front.listen(at, this.#path(at));
      },
      cut: async () => {
        await Promise.all(this.#processes.map((process) => process.order({ op: "check", tunnel: at })));
      },
      close: async () => {
        if (this.#slots[at] !== slot) return;
        this.#slots[at] = undefined;
        await Promise.allSettled(this.#processes.map((process) => process.order({ op: "close", tunnel: at })));
        // With the last one goes what only it needed.
        if (this.#slots.every((other) => other === undefined)) await this.#end();
        if (this.#slots[at] === undefined) remove(dir);
      },
    };
  }

  async close(): Promise<void> {
    this.#slots.fill(undefined);
    await this.#end();
    remove(this.#options.dir);
  }

  async #end(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.end()));
  }

  get #processes(): TunnelProcess[] {
    return this.#back === undefined ? [this.#front] : [this.#front, this.#back];
  }

  get #relayPath(): string {
    return join(this.#options.dir, "listed.sock");
  }

  #path(slot: number): string {
    return join(this.#options.dir, `${slot}`, "proxy.sock");
  }

  /** What the grant says comes first; only then where it leads. */
  async #answer({ tunnel, host, port }: TunnelAsk, from: "front" | "back"): Promise<TunnelRoute> {
    const slot = this.#slots[tunnel];
    const key = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    if (slot === undefined || !slot.isOpen({ host, port })) {
      throw new AppError("egress_denied", `${key} was not granted to this command`);
    }
    const { isPublic, listed, keys } = this.#ways;
    if (!keys.has(key)) {
      if (isPublic && from === "front") return { kind: "public" };
      throw new AppError("egress_denied", `egress_mode is strict and ${key} is not in egress_allowlist`);
    }
    if (from === "back" || this.#back === undefined) {
      this.#options.onException(`egress_allowlist: tunnel ${slot.id} to ${key}`);
      return listed!.route as TunnelRoute;
    }
    await this.#back.listen(null, this.#relayPath);
    return { kind: "relay", path: this.#relayPath };
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
