import type { ErrorCode } from "#/core/error.ts";

/** What the shell is told (SPEC: 0 done, 1 internal, 2 usage or config, 3 provider failed, 4 budget, 5 denied, 130 interrupted). */
export const EXIT = {
  done: 0,
  internal: 1,
  usage: 2,
  provider: 3,
  budget: 4,
  denied: 5,
  /** Of `status` alone: nothing runs. What `systemctl status` says, after the LSB's "program is not running". */
  notRunning: 3,
  /** Between our own processes only: the gateway was gone before it greeted, so the launcher may try again. */
  gatewayGone: 75,
  interrupted: 130,
} as const;

/** The exit code of a turn or a start that ended with this error. */
export function toExitCode(code: ErrorCode): number {
  if (code.startsWith("provider_") || code === "model_unknown") return EXIT.provider;
  if (code.startsWith("budget_")) return EXIT.budget;
  if (code === "tool_denied") return EXIT.denied;
  if (code === "cancelled") return EXIT.interrupted;
  if (USAGE.has(code)) return EXIT.usage;
  return EXIT.internal;
}

const USAGE: ReadonlySet<string> = new Set([
  "usage",
  // Somebody else has it: another try finds the same, so a service is not to start again for it.
  "lock_held",
  "config_invalid",
  "config_untrusted",
  "platform_unsupported",
  "self_test_failed",
  // Of a start; a tool that finds no tier says so to the model.
  "tier_unavailable",
  // Our own client speaks the protocol: what a gateway refuses is a session, a user or a bound.
  "gateway_refused",
  // A package that somebody handed over; ours are checked before they are shipped.
  "component_invalid",
]);
