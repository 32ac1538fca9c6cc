import type { Environment } from "#/runner/process_plan.ts";

/** A variable whose name begins so, handed to a start, is for the shell, without the prefix (SPEC §9, the reference's convention). */
const SHELL_PREFIX = "SHELL_";

/** What a shell's environment is made of. */
export interface ShellEnvInput {
  /** `[tools.shell] env_keys`. */
  readonly keys: readonly string[];
  /** Everything that is set. */
  readonly env: Environment;
  /** What a person handed to this start; an inherited `SHELL_…` is not meant for anybody's shell (macOS sets SHELL_SESSION_ID). */
  readonly given: Environment;
  /** IANA zone. */
  readonly timezone: string;
}

/** The environment of a walled shell beside what its tier sets: TZ, the listed names, and what was handed over for it. Pure. */
export function toShellEnv({ keys, env, given, timezone }: ShellEnvInput): Record<string, string> {
  const listed = keys.flatMap((key) => Object.hasOwn(env, key) ? [[key, env[key]!] as const] : []);
  const handed = Object.entries(given).flatMap(([name, value]) =>
    name.startsWith(SHELL_PREFIX) && name.length > SHELL_PREFIX.length
      ? [[name.slice(SHELL_PREFIX.length), value] as const]
      : []
  );
  return Object.fromEntries([["TZ", given.TZ ?? timezone], ...listed, ...handed]);
}
