import type { Config } from "#/config/schema.ts";
import { toTier } from "#/config/user.ts";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import type { Environment } from "#/runner/process_plan.ts";
import { toShellEnv } from "#/runner/shell_env.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { SecretEntry } from "#/sandbox/secrets.ts";
import type { ShellRulesConfig } from "#/sandbox/shell_rules_decide.ts";
import type { TierLimits } from "#/sandbox/tier.ts";

/** The walls that a person wants for what runs beside the guest. */
export interface WantedTier {
  readonly tier: Tier;
  /** `[guest_images] shell_vm`, for a tier of containers. */
  readonly image: string;
}

/** What a configuration makes of the shell. */
export interface ShellPlan extends WantedTier {
  /** Beside what the tier sets. */
  readonly env: Readonly<Record<string, string>>;
  readonly limits: TierLimits;
  readonly timeoutSecs: number;
  readonly rules: ShellRulesConfig;
}

/** Why there is none, in words for the person. */
export interface NoShell {
  readonly off: string;
}

/** A shorter value would cut ordinary text. In UTF-16 code units. */
const SCRUBBED_CHARS_MIN = 8;
const MIB = 1_048_576;

/** The walls of a configuration. Pure. */
export function toWantedTier(config: Config): WantedTier {
  return { tier: toTier(config), image: config.runner.guest_images.shell_vm };
}

/** The shell of a configuration. `env` is everything that is set, `given` what a person handed to this start. Pure. */
export function planShell(config: Config, env: Environment, given: Environment): ShellPlan | NoShell {
  const { enabled, env_keys: keys, command_timeout_secs: timeoutSecs, ...rules } = config.tools.shell;
  const { shell_enabled = true, timezone } = config.user.behavior;
  if (!enabled) return { off: "tools.shell.enabled is false" };
  if (!shell_enabled) return { off: "behavior.shell_enabled is false" };
  return {
    ...toWantedTier(config),
    env: toShellEnv({ keys, env, given, timezone }),
    limits: toTierLimits(config.user.resources),
    timeoutSecs,
    rules,
  };
}

/** What no output may hold of the shell's own environment: every value that is long enough to be looked for, but the time zone. Pure. */
export function toShellSecrets(plan: ShellPlan | NoShell): Pick<SecretEntry, "name" | "value">[] {
  if ("off" in plan) return [];
  return Object.entries(plan.env).filter(([name, value]) => name !== "TZ" && value.trim().length >= SCRUBBED_CHARS_MIN)
    .map(([name, value]) => ({ name, value: new Secret(value.trim()) }));
}

/** `[resources]` as limits of one walled process; what it leaves out is bounded by ours. Pure. */
function toTierLimits({ max_memory_mib, max_processes, max_vcpus }: Config["user"]["resources"]): TierLimits {
  return {
    memoryBytesMax: max_memory_mib === undefined ? LIMITS.shellMemoryBytesMax : max_memory_mib * MIB,
    processesMax: max_processes ?? LIMITS.shellProcessesMax,
    fileBytesMax: LIMITS.rootBytesMax,
    cpuSecondsMax: LIMITS.shellCpuSecsMax,
    ...(max_vcpus === undefined ? {} : { cpusMax: max_vcpus }),
    sharedBytesMax: LIMITS.rootBytesMax,
    tmpBytesMax: LIMITS.rootBytesMax,
    diskFloorBytes: LIMITS.diskFloorBytes,
  };
}
