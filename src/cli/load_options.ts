import type { LoadOptions } from "#/config/load.ts";
import { parseModelFlag } from "#/provider/select.ts";
import type { TurnOptions } from "#/cli/main.ts";

/** What the flags of a command mean to the configuration. Throws AppError `usage` for a flag that cannot be read. */
export function toLoadOptions(options: TurnOptions, env: Readonly<Record<string, string>>): LoadOptions {
  const overrides: Record<string, unknown> = {};
  if (options.model !== undefined) overrides.selection = parseModelFlag(options.model);
  if (options.tier !== undefined) {
    overrides.runner = { default_tier: options.tier };
    overrides.user = { behavior: { sandbox_tier: options.tier } };
  }
  return {
    cwd: Deno.cwd(),
    env,
    overrides,
    ...(env.HOME ? { home: env.HOME } : {}),
    ...(options.config === undefined ? {} : { configDir: options.config }),
    ...(options.user === undefined ? {} : { user: options.user }),
  };
}
