import type { Program } from "#/runner/process_plan.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import type { Degraded, PostureProcess, PostureSecret } from "#/cli/posture_shape.ts";

/** What is looked at. */
export interface DegradedInput {
  readonly program: Pick<Program, "setprivPath">;
  readonly os: string;
  readonly tier: string;
  /** Why no start is possible, or null. */
  readonly trouble: string | null;
  readonly processes: readonly PostureProcess[];
  readonly secrets: readonly PostureSecret[];
  readonly isStateWhole: boolean;
  /** Rules that the person or the settings made. */
  readonly rules: readonly PolicyRule[];
  /** Why installed packages are not used. */
  readonly refused: readonly string[];
  /** What the runner that lives says of its start; absent when none lives, for nothing is tried here. */
  readonly startup: HealthStatus["startup_status"] | undefined;
}

/** What is degraded here and why, the worst first. Pure. */
export function findDegraded(input: DegradedInput): readonly Degraded[] {
  const { program, os, tier, trouble, processes, secrets, isStateWhole, rules, refused, startup } = input;
  const unset = secrets.filter(({ set }) => !set).map(({ name, variable }) => `${name} (${variable ?? "no variable"})`);
  const byAgent = rules.filter(({ agents, effect }) => agents !== undefined && effect === "allow").map(({ id }) => id);
  const found: (readonly [isSo: boolean, code: string, why: string])[] = [
    [trouble !== null, "cannot_start", `nothing starts as things are: ${trouble}`],
    [
      tier === "process",
      "no_os_sandbox",
      "Deno's permissions and WASM are the walls of guest and tools; there is no operating-system sandbox around them (tier process)",
    ],
    [
      !isStateWhole,
      "approvals_damaged",
      "run/approvals.json is damaged: no answer stands, every session counts as private",
    ],
    [
      processes.some(hasNoIpv6Wall),
      "ipv6_one_wall",
      "IPv6 addresses inside are refused by the address check alone: Deno's flags know ranges of IPv4 only",
    ],
    [os !== "linux", "unverified", `the attack suite has not run on ${os}`],
    [
      os === "linux" && program.setprivPath === null,
      "no_setpriv",
      "setpriv (util-linux) was not found: processes of a killed runner end when their stdin does",
    ],
    [unset.length > 0, "secret_unset", `not set, so their use is denied: ${unset.join(", ")}`],
    [refused.length > 0, "package_refused", `installed and not used: ${refused.join("; ")}`],
    [
      byAgent.length > 0,
      "agent_is_a_claim",
      `an agent's name is the guest's word, so these rules are no wall against a broken guest: ${byAgent.join(", ")}`,
    ],
    ...(startup?.degraded_reasons ?? []).map(({ code, detail }) => [true, code, detail] as const),
  ];
  return found.filter(([isSo]) => isSo).map(([, code, why]) => ({ code, why }));
}

/** Every host is open, and no range of IPv6 is taken away. */
function hasNoIpv6Wall({ permissions }: PostureProcess): boolean {
  const net = permissions.open.find(({ permission }) => permission === "net");
  return net !== undefined && net.only.length === 0 && !net.but.some((range) => /:.*\//.test(range));
}
