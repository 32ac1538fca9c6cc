import type { Bootstrap } from "#/app/bootstrap.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { TierName, TierStatus } from "#/sandbox/tier.ts";

/** Why something is missing or weaker, in the reference's codes (crates/types/src/runner.rs, StartupDegradedReasonCode). */
export type DegradedCode = NonNullable<Bootstrap["startupStatus"]["degraded_reasons"]>[number]["code"];

/** What holds the shell, or the browser, of one user; or why there is none. */
export interface WalledPart extends TierStatus {
  /** Whose walls it stands behind; absent while there are none, and for a browser that runs elsewhere. */
  readonly by?: TierName;
  /** Why it is missing; `sidecar_unavailable` by default. */
  readonly code?: DegradedCode;
}

/** What is known of one user's tiers: found once by whoever opens them, and then told to the guest, to clients and at the control socket. */
export interface TierFacts {
  /** Where the guest runs. One that cannot start is refused, so this is where it does. */
  readonly tier: Tier;
  readonly shell: WalledPart;
  readonly browser: WalledPart;
}

/** Nothing but the guest: neither a shell nor a browser was opened. */
export const NO_TIERS: TierFacts = {
  tier: "process",
  shell: toMissing("this version has no shell and no browser"),
  browser: toMissing("this version has no shell and no browser"),
};

/** A part that is not there. `install` is a command, or what to do. Pure. */
export function toMissing(reason: string, install?: string): WalledPart {
  return { available: false, about: "none", reason, ...(install === undefined ? {} : { install }), notes: [] };
}

/** What a start has, as clients of the reference read it: each missing part with its reason, each wall that holds less with its note. Pure. */
export function toStartupStatus({ tier, shell, browser }: TierFacts = NO_TIERS): Bootstrap["startupStatus"] {
  const found = [shell, browser].flatMap((part) =>
    part.available
      ? part.notes.map((detail) => ({ code: "process_hardening_limited" as const, detail }))
      : [{ code: part.code ?? "sidecar_unavailable", detail: toWhy(part) }]
  );
  // Both may lack the same thing, or stand behind the same wall: said once.
  const reasons = found.filter(({ code, detail }, at) =>
    found.findIndex((other) => other.code === code && other.detail === detail) === at
  );
  return {
    sandbox_tier: tier,
    sidecar_available: shell.available || browser.available,
    shell_available: shell.available,
    browser_available: browser.available,
    // The reference leaves the list out when it is empty.
    ...(reasons.length === 0 ? {} : { degraded_reasons: reasons }),
  };
}

/** Why a part is missing and what would bring it, as one line. Pure. */
export function toWhy({ reason = "it is not available", install }: TierStatus): string {
  return install === undefined ? reason : `${reason} (to get it: ${install})`;
}
