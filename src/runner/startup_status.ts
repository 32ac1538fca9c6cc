import type { Bootstrap } from "#/app/bootstrap.ts";

/** What this version has of what a start can have; clients and `posture` are told the same. Pure. */
export function toStartupStatus(): Bootstrap["startupStatus"] {
  return {
    sandbox_tier: "process",
    sidecar_available: false,
    shell_available: false,
    browser_available: false,
    degraded_reasons: [{ code: "sidecar_unavailable", detail: "this version has no shell and no browser" }],
  };
}
