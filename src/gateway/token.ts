/**
 * What a token's holder may do. `owner`: everything that the person may do who owns the gateway, but for answers that only a terminal may
 * give. `read`: see sessions and watch turns. `channel`: send messages to the sessions that this very token began, and see those.
 */
export type Scope = "owner" | "read" | "channel";

/** A token as the gateway knows it: never the token itself. */
export interface GatewayToken {
  /** Names it in listings and in the log, e.g. `start` or `phone`. */
  readonly id: string;
  /** Hex. */
  readonly sha256: string;
  readonly scope: Scope;
  /** Integer ms UTC; from then on it opens nothing. */
  readonly expiresAt?: number;
}

/** Who asks. */
export type Caller = Pick<GatewayToken, "id" | "scope">;

/** True when somebody with `scope` may do what `needed` is wanted for. Pure. */
export function mayDo(scope: Scope, needed: Scope): boolean {
  return scope === "owner" || scope === needed;
}
