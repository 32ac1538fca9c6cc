import type { Bootstrap } from "#/app/bootstrap.ts";
import type { Tier } from "#/sandbox/config.ts";

/** What this version has of what a start in this tier can have; clients and `posture` are told the same. Pure. */
export function toStartupStatus({ tier }: { readonly tier: Tier } = { tier: "process" }): Bootstrap["startupStatus"] {
  return {
    sandbox_tier: tier,
    sidecar_available: false,
    shell_available: false,
    browser_available: false,
    degraded_reasons: [{ code: "sidecar_unavailable", detail: "this version has no shell and no browser" }],
  };
}
