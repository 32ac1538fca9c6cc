import { LIMITS } from "#/core/limits.ts";
import { findCaller } from "#/gateway/auth.ts";
import { type Rate, Rates } from "#/gateway/rate.ts";
import type { Caller, GatewayToken } from "#/gateway/token.ts";

const OWNER: Rate = { perSecMax: LIMITS.ownerAsksPerSecMax, burstMax: LIMITS.ownerAsksBurstMax };
const OTHER: Rate = { perSecMax: LIMITS.tokenAsksPerSecMax, burstMax: LIMITS.tokenAsksBurstMax };
const FAILED: Rate = { perSecMax: LIMITS.failedAsksPerSecMax, burstMax: LIMITS.failedAsksBurstMax };

/** What a gate needs. */
export interface GateDeps {
  /** What opens this gateway, as it is now. */
  readonly tokens: () => readonly GatewayToken[];
  /** Integer ms UTC. */
  readonly now: () => number;
}

/** Who may come in, how often they may ask, and until when. */
export class Gate {
  readonly #deps: GateDeps;
  readonly #rates: Rates;
  readonly #failed: Rates;
  #latest = 0;

  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#rates = new Rates(deps.now);
    this.#failed = new Rates(deps.now);
  }

  /** Integer ms UTC, never less than it was: a clock that is set back brings no expired token back to life. */
  get now(): number {
    return this.#latest = Math.max(this.#latest, this.#deps.now());
  }

  /**
   * Who asks, or undefined when no token opened. `waitMs` is more than 0 when this one asked too often: a token, or an address that no
   * token opened for. From another machine such an address is not even looked at; on this one a good token always is, so that
   * another user of the machine cannot keep the person out.
   */
  async admit(request: Request, address: string): Promise<{ readonly caller?: Caller; readonly waitMs: number }> {
    const waitMs = isLoopback(address) ? 0 : this.#failed.peek(address, FAILED);
    if (waitMs > 0) return { waitMs };
    const caller = await findCaller(request, this.#deps.tokens(), this.now);
    if (caller === undefined) return { waitMs: this.#failed.spend(address, FAILED) };
    return { caller, waitMs: this.spend(caller) };
  }

  /** Takes one frame or request from what the caller may ask; the milliseconds to wait when there is none. */
  spend({ id, scope }: Caller): number {
    return this.#rates.spend(id, scope === "owner" ? OWNER : OTHER);
  }

  /** True while the token that let this caller in still would. */
  isGood({ id, scope }: Caller): boolean {
    const now = this.now;
    return this.#deps.tokens().some((token) =>
      token.id === id && token.scope === scope && now < (token.expiresAt ?? Infinity)
    );
  }

  /** Milliseconds until the next token expires; undefined when none will. */
  get untilExpiryMs(): number | undefined {
    const now = this.now;
    const times = this.#deps.tokens().flatMap(({ expiresAt }) =>
      expiresAt !== undefined && expiresAt > now ? [expiresAt] : []
    );
    return times.length === 0 ? undefined : Math.min(...times) - now;
  }
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
