import type { Capability, Decision } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { type HttpCapability, toHttpNeed } from "#/core/http_need.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import type { SpawnPlan } from "#/lib/spawn_piped.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import type { Forwarder } from "#/sandbox/tunnel_forward.ts";
import { BROWSER_LIMITS, planChromium, withForwarder } from "#/sandbox/browser_plan.ts";
import { type Browsed, BrowserProcess } from "#/sandbox/browser_process.ts";
import type { TierDriver } from "#/sandbox/tier.ts";
import type { ConnectTarget, Tunnel, Tunnels } from "#/sandbox/tunnel.ts";

/** One granted action of a conversation. */
export interface BrowserCall {
  readonly session: string;
  readonly ask: BrowserAsk;
  /** Where the grant came from: a person's yes to a host is in it. */
  readonly source: string;
  /** What policy says to one more need of this conversation, now and later. */
  readonly decide: (need: Capability) => Decision;
  /** Writes down what it said. Throws AppError `audit_failed`: then nothing is opened. */
  readonly record: (decision: Decision) => void;
}

/** The browsers of one user, one a conversation, started on the first navigation. */
export interface Browsers {
  /** Throws AppError `tool_args_invalid`, `tool_failed`, `tool_denied`, `tool_timeout`, `tool_crashed`, `tier_unavailable`, `egress_failed`, `queue_full`, `cancelled`. */
  run(call: BrowserCall, signal: AbortSignal): Promise<Browsed>;
  /** Ends the browser of a conversation and all that it remembers; nothing happens when it has none. */
  end(session: string): Promise<void>;
  /** Ends all of them. */
  close(): Promise<void>;
  /** Process ids of the drivers that live. */
  readonly pids: readonly number[];
}

/** Where the browsers run. */
export type BrowserPlace =
  | {
    readonly kind: "walled";
    readonly tier: TierDriver;
    readonly tunnels: Tunnels;
    /** Listens at `TUNNEL_PROXY` behind the walls, and writes a line when it does. */
    readonly forwarder: Forwarder;
    /** Host folder of this alone: what browsers write meanwhile. Its content goes at the first use. */
    readonly dir: string;
  }
  /** One that the person runs, without our walls and without our egress. */
  | { readonly kind: "external"; readonly cdpUrl: string };

/** What they are opened with. */
export interface BrowsersOptions {
  readonly user: string;
  readonly place: BrowserPlace;
  readonly driver: SpawnPlan;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
  /** `browserIdleMs` by default. */
  readonly idleMs?: number;
}

/** Nothing is started yet. */
export function openBrowsers(options: BrowsersOptions): Browsers {
  return new UserBrowsers(options);
}

/** A conversation's browser. */
interface Open {
  readonly process: Promise<BrowserProcess>;
  /** Ends its connections to hosts that are closed by now. */
  readonly cut: () => Promise<void>;
  /** Ends it, also while it starts, and removes what it left. A second call waits for the first. */
  readonly close: () => Promise<void>;
  readonly hosts: Hosts;
  busy: number;
  usedAt: number;
  idle: ReturnType<typeof setTimeout> | undefined;
}

class UserBrowsers implements Browsers {
  readonly #options: BrowsersOptions;
  readonly #open = new Map<string, Open>();
  readonly #pids = new Map<Open, number>();
  /** Ends of browsers whose place is free already. */
  readonly #ending = new Set<Promise<void>>();
  readonly #closed = new AbortController();
  #uses = 0;
  #swept: Promise<void> | undefined;

  constructor(options: BrowsersOptions) {
    this.#options = options;
  }

  get pids(): readonly number[] {
    return [...this.#pids.values()];
  }

  async run(call: BrowserCall, signal: AbortSignal): Promise<Browsed> {
    const { session, ask } = call;
    const isNavigation = ask.action === "navigate";
    const known = this.#open.get(session);
    known?.hosts.use(call);
    // What was opened when policy gave more is no way out for what is typed from now on.
    if (known?.hosts.isStale()) await known.cut();
    if (!isNavigation && !this.#open.has(session)) {
      if (ask.action === "health") return { text: "No browser runs; the first navigate starts one.", picture: NOTHING };
      throw new AppError("tool_failed", "No page is open: navigate first");
    }
    const one = this.#open.get(session) ?? await this.#start(call, signal);
    if (isNavigation) one.hosts.said(call);
    if (one.busy >= LIMITS.browserWaitingMax) {
      throw new AppError("queue_full", "Too many actions wait for this browser");
    }
    one.busy++;
    one.usedAt = ++this.#uses;
    clearTimeout(one.idle);
    try {
      const process = await one.process;
      const browsed = await process.run(ask, signal);
      const text = [browsed.text, ...one.hosts.takeRefused()].join("\n");
      return { ...browsed, text };
    } finally {
      one.busy--;
      if (await one.process.then(({ isDead }) => isDead, () => true)) await this.#end(session, one);
      else if (one.busy === 0 && this.#open.get(session) === one) one.idle = this.#endLater(session, one);
    }
  }

  async end(session: string): Promise<void> {
    const one = this.#open.get(session);
    if (one !== undefined) await this.#end(session, one);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#open.keys()].map((session) => this.end(session)));
  }

  #endLater(session: string, one: Open): ReturnType<typeof setTimeout> {
    return setTimeout(() => void this.#end(session, one), this.#options.idleMs ?? LIMITS.browserIdleMs);
  }

  async #end(session: string, one: Open): Promise<void> {
    clearTimeout(one.idle);
    if (this.#open.get(session) === one) this.#open.delete(session);
    this.#pids.delete(one);
    const end = one.close();
    this.#ending.add(end);
    await end.finally(() => this.#ending.delete(end));
  }

  async #start(call: BrowserCall, callSignal: AbortSignal): Promise<Open> {
    // What still ends counts: who has sessions ended one after the other gets no more browsers at once.
    while (this.#open.size + this.#ending.size >= LIMITS.browsersMax) {
      const [oldest] = [...this.#open].filter(([, { busy }]) => busy === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt);
      if (this.#ending.size > 0) await Promise.allSettled(this.#ending);
      else if (oldest !== undefined) await this.#end(...oldest);
      else throw new AppError("queue_full", `${LIMITS.browsersMax} browsers are already at work`);
    }
    if (this.#closed.signal.aborted) throw new AppError("tool_interrupted", "The runner is stopping");
    if (callSignal.aborted) throw new AppError("cancelled", "The call was cancelled");
    // Another action of this conversation may have started one meanwhile.
    const known = this.#open.get(call.session);
    if (known !== undefined) return known;
    const ended = new AbortController();
    const hosts = new Hosts(call);
    const stack = new AsyncDisposableStack();
    const way = Promise.withResolvers<Tunnel | undefined>();
    const process = this.#spawn(hosts, stack, way.resolve, ended.signal);
    process.catch(() => {}).finally(() => way.resolve(undefined));
    const cut = () => way.promise.then((tunnel) => tunnel?.cut());
    let closing: Promise<void> | undefined;
    const close = () => {
      ended.abort();
      return closing ??= process.then(() => {}, () => {}).then(() => stack.disposeAsync());
    };
    const one: Open = { process, cut, close, hosts, busy: 0, usedAt: 0, idle: undefined };
    this.#open.set(call.session, one);
    process.then(
      ({ pid, isDead }) => isDead || this.#open.get(call.session) !== one || this.#pids.set(one, pid),
      () => {},
    );
    return one;
  }

  /** What it opens is ended from the last to the first, also when a later part cannot be opened. */
  async #spawn(
    hosts: Hosts,
    stack: AsyncDisposableStack,
    onWay: (tunnel: Tunnel) => void,
    ended: AbortSignal,
  ): Promise<BrowserProcess> {
    const { place, user, driver, onLog } = this.#options;
    const signal = AbortSignal.any([this.#closed.signal, ended, AbortSignal.timeout(LIMITS.browserStartMs)]);
    let walled: Awaited<ReturnType<TierDriver["open"]>> | undefined;
    if (place.kind === "walled") {
      const { tier, tunnels, dir } = place;
      await (this.#swept ??= Deno.remove(dir, { recursive: true }).catch(() => {}));
      const id = `browser-${crypto.randomUUID().slice(0, 18)}`;
      const mounts = { shared: join(dir, id, "shared"), tmp: join(dir, id, "tmp") };
      stack.defer(() => Deno.remove(join(dir, id), { recursive: true }).catch(() => {}));
      // Not the user's: a browser is shown no file of theirs and leaves none behind.
      for (const path of Object.values(mounts)) await Deno.mkdir(path, { recursive: true, mode: 0o700 });
      const tunnel = await tunnels.open(id, (target) => hosts.isOpen(target));
      stack.defer(() => tunnel.close());
      onWay(tunnel);
      await tunnel.arm();
      const way = { netDir: tunnel.dir, ...withForwarder(planChromium(), place.forwarder) };
      walled = await tier.open({ id, user, mounts, limits: BROWSER_LIMITS, ...way }, signal);
      const { kill } = walled;
      stack.defer(() => kill.call(walled));
    }
    const process = new BrowserProcess(driver, walled, onLog);
    stack.defer(() => process.close());
    await process.ready(signal);
    return process;
  }
}

const NOTHING = new Uint8Array(0);
const REFUSED_SHOWN_MAX = 10;

/**
 * What the pages of one browser may reach: a host that policy would let this conversation read from, as things are at that moment, and one that a
 * person said yes to for the same reason. Each is written down once, and again when the answer to it changes.
 */
class Hosts {
  #call: BrowserCall;
  readonly #answers = new Map<string, { readonly need: HttpCapability; readonly isOpen: boolean }>();
  readonly #said = new Map<string, string>();
  readonly #refused = new Set<string>();

  constructor(call: BrowserCall) {
    this.#call = call;
  }

  /** From now on in the name of this call. */
  use(call: BrowserCall): void {
    this.#call = call;
  }

  /** A person was shown the address of this navigation, where policy asks for it: their yes is one to its host. */
  said({ ask, decide, source }: BrowserCall): void {
    const need = toNeed(ask.url ?? "");
    const decision = decide(need);
    if (decision.kind === "ask" && source.split(", ").includes(decision.source)) {
      this.#said.set(keyOf(need), decision.source);
    }
  }

  /** Never throws: what cannot be judged or written down is closed. */
  isOpen({ host, port }: ConnectTarget): boolean {
    try {
      const scheme = port === 443 ? "https" : "http";
      return this.#judge(toNeed(`${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}/`));
    } catch {
      return false;
    }
  }

  /** A host that was open is not so any more. */
  isStale(): boolean {
    return [...this.#answers.values()].some(({ need, isOpen }) => isOpen && !this.#says(need).isOpen);
  }

  /** What was refused since this was last asked, as lines. */
  takeRefused(): string[] {
    const refused = [...this.#refused];
    this.#refused.clear();
    if (refused.length === 0) return [];
    const more = refused.length > REFUSED_SHOWN_MAX ? [`and ${refused.length - REFUSED_SHOWN_MAX} more`] : [];
    return [
      `Not reached, since policy does not give it: ${[...refused.slice(0, REFUSED_SHOWN_MAX), ...more].join(", ")}`,
    ];
  }

  #judge(need: HttpCapability): boolean {
    const key = keyOf(need);
    const known = this.#answers.get(key);
    if (known === undefined && this.#answers.size >= LIMITS.browserHostsMax) return false;
    const { isOpen, decision } = this.#says(need);
    if (known?.isOpen !== isOpen) {
      this.#call.record(decision);
      this.#answers.set(key, { need, isOpen });
    }
    if (!isOpen) this.#refused.add(key);
    return isOpen;
  }

  #says(need: HttpCapability): { readonly isOpen: boolean; readonly decision: Decision } {
    const decision = this.#call.decide(need);
    const isSaid = decision.kind === "ask" && this.#said.get(keyOf(need)) === decision.source;
    return { isOpen: decision.kind === "granted" || isSaid, decision };
  }
}

/** What reading from the host of an address needs. Throws AppError `tool_args_invalid`. */
function toNeed(url: string): HttpCapability {
  const bounds = { bytesUpMax: 0, bytesDownMax: LIMITS.responseBytesMax, redirectsMax: 0 };
  return { ...toHttpNeed(url, { methods: ["GET"], scope: "tree", ...bounds }), path: "/" };
}

function keyOf({ host, port }: HttpCapability): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
