import { loadConfig, type Loaded, type LoadOptions } from "#/config/load.ts";
import { type ResolvedUser, resolveUser } from "#/config/user.ts";
import { parseModelFlag } from "#/provider/select.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import type { Environment, PlanInput, Program } from "#/runner/process_plan.ts";
import { findProgram } from "#/runner/program.ts";
import type { TurnOptions } from "#/cli/main.ts";

/** What a command finds around it: the configuration that its flags mean, and whose it is. */
export interface Place extends PlanInput {
  readonly loaded: Loaded;
  readonly user: ResolvedUser;
  readonly denoDir: string;
}

/** Reads the configuration that the flags of a command mean. Throws AppError `usage`, and what `loadConfig` throws. */
export async function loadFor(options: TurnOptions): Promise<Loaded> {
  return await loadConfig(toLoadOptions(options, Deno.env.toObject()));
}

/** Looks around for a command. Makes nothing: `prepareWorkspace` makes the user's folders, `checkFolders` looks at them. Throws as `loadFor` does. */
export async function findPlace(options: TurnOptions): Promise<Place> {
  const loaded = await loadFor(options);
  const env = Deno.env.toObject();
  // `#/` is src/; this file is one folder below it, like every file that findProgram is asked from.
  const program = findProgram(import.meta.url);
  return { env, loaded, user: resolveUser(loaded), program, denoDir: await findDenoDir(env) };
}

/**
 * This program, for a command that starts processes: one with `--cached-only` finds its modules only when this one has them in its graph;
 * from a file there is nothing to do.
 */
export async function openProgram(): Promise<Program> {
  const program = findProgram(import.meta.url);
  if (program.source === "url") await import(new URL("./entries.ts", import.meta.url).href);
  return program;
}

/** The environment of a command that reads no configuration. */
export function readEnvironment(): Environment {
  return Deno.env.toObject();
}

/** What the flags of a command mean to the configuration. Throws AppError `usage` for a flag that cannot be read. */
export function toLoadOptions(options: TurnOptions, env: Environment): LoadOptions {
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
