import { AppError } from "#/core/error.ts";
import { toAllowedKeys, toEgressTarget } from "#/sandbox/egress_address.ts";
import type { EgressRequest, EgressRoute } from "#/sandbox/egress_frames.ts";
import { type EgressPlan, type EgressPlanInput, planEgress } from "#/sandbox/egress_plan.ts";
import { EgressProcess, type EgressResponse } from "#/sandbox/egress_process.ts";

/** What may leave the machine, and how. */
export interface EgressOptions {
  readonly plan: EgressPlanInput;
  /** `host` or `host:port`; without a port, 80 and 443. */
  readonly allowlist: readonly string[];
  /** `strict`: listed hosts only, and only through `proxyUrl`. */
  readonly mode: "default" | "strict";
  readonly proxyUrl?: string;
  /** A request used the allowlist: which one, for the log. Never holds a query, which may carry a secret. */
  readonly onException: (text: string) => void;
  /** What a process wrote to stderr. */
  readonly onLog: (text: string) => void;
}

/** The only way of a tool to the network. */
export interface Egress {
  /** One exchange; throws AppError `egress_denied`, `egress_failed`, `egress_timeout`, `queue_full` or `cancelled`. */
  request(exchange: EgressRequest, signal: AbortSignal): Promise<EgressResponse>;
  /** Starts the process that most requests need. */
  warm(): void;
  /** The processes that run now. */
  readonly pids: readonly number[];
  /** What would be started, for `doctor`. */
  readonly plans: readonly EgressPlan[];
  /** Ends the processes. Later requests are refused. */
  close(): Promise<void>;
}

/** Opens the way out; no process is started yet. Throws AppError `config_invalid` for an entry or a mode that cannot be obeyed. */
export function openEgress(options: EgressOptions): Egress {
  return new ProcessEgress(options);
}

/** A process that is started on first use, and anew when the one before died. */
interface Slot {
  readonly plan: EgressPlan;
  readonly route: EgressRoute;
  process?: EgressProcess;
}

class ProcessEgress implements Egress {
  readonly #keys: ReadonlySet<string>;
  readonly #listed: Slot | undefined;
  readonly #public: Slot | undefined;
  readonly #options: EgressOptions;
  #closed = false;

  constructor(options: EgressOptions) {
    this.#options = options;
    const { keys, isPublic, listed } = toWaysOut(options);
    this.#keys = keys;
    if (isPublic) this.#public = { plan: planEgress(options.plan), route: { kind: "public" } };
    if (listed !== undefined) this.#listed = { plan: planEgress(options.plan, listed.hosts), route: listed.route };
  }

  get plans(): readonly EgressPlan[] {
    return this.#slots().map(({ plan }) => plan);
  }

  get pids(): readonly number[] {
    return this.#slots().flatMap(({ process }) => process === undefined || process.dead ? [] : [process.pid]);
  }

  warm(): void {
    this.#open(this.#public ?? this.#listed!);
  }

  async request(exchange: EgressRequest, signal: AbortSignal): Promise<EgressResponse> {
    const target = toEgressTarget(exchange.url);
    const isListed = this.#keys.has(target.key);
    const slot = isListed ? this.#listed : this.#public;
    if (slot === undefined) {
      throw new AppError("egress_denied", `egress_mode is strict and ${target.key} is not in egress_allowlist`);
    }
    if (isListed) {
      this.#options.onException(`egress_allowlist: ${exchange.method} ${target.url.protocol}//${target.key}`);
    }
    return await this.#open(slot).request({ ...exchange, route: slot.route }, signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#slots().map(({ process }) => process?.close()));
  }

  #open(slot: Slot): EgressProcess {
    if (this.#closed) throw new AppError("egress_failed", "The way to the network is closed");
    if (slot.process === undefined || slot.process.dead) {
      slot.process = new EgressProcess(slot.plan, this.#options.onLog);
    }
    return slot.process;
  }

  #slots(): Slot[] {
    return [this.#public, this.#listed].filter((slot) => slot !== undefined);
  }
}

/** Which processes lead outside, and what each is for. */
export interface WaysOut {
  /** `host:port` of what is listed. */
  readonly keys: ReadonlySet<string>;
  /** One process reaches every public address. */
  readonly isPublic: boolean;
  /** One process reaches these `host:port` and nothing else; what is listed is reached through it. */
  readonly listed?: { readonly hosts: readonly string[]; readonly route: EgressRoute };
}

/** What an allowlist and a mode mean. Pure. Throws AppError `config_invalid` for an entry or a mode that cannot be obeyed. */
export function toWaysOut(
  { allowlist, mode, proxyUrl }: Pick<EgressOptions, "allowlist" | "mode" | "proxyUrl">,
): WaysOut {
  const keys = new Set(allowlist.flatMap(toAllowedKeys));
  if (mode === "strict") {
    const proxy = toProxy(proxyUrl);
    return { keys, isPublic: false, listed: { hosts: [proxy.key], route: { kind: "proxy", url: proxy.url } } };
  }
  return {
    keys,
    isPublic: true,
    ...(keys.size === 0 ? {} : { listed: { hosts: [...keys], route: { kind: "listed" } } }),
  };
}

/** The proxy of strict mode. Without one there is no strict mode: it would be an open door or none. */
function toProxy(text: string | undefined): { url: string; key: string } {
  if (text === undefined) throw new AppError("config_invalid", 'egress_mode = "strict" needs egress_proxy_url');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:") throw new AppError("config_invalid", "egress_proxy_url must be an http:// address");
  return { url: url.href, key: `${url.hostname}:${url.port || 80}` };
}
