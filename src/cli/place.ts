import { loadConfig, type Loaded, type LoadOptions } from "#/config/load.ts";
import { type ResolvedUser, resolveUser } from "#/config/user.ts";
import { parseModelFlag } from "#/provider/select.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import type { Environment, PlanInput, Program } from "#/runner/process_plan.ts";
import { findProgram } from "#/runner/program.ts";
import type { ResolvedCredentials } from "#/config/credential_refs.ts";
import { readGivenEnv } from "#/cli/given_env.ts";
import type { TurnOptions } from "#/cli/main.ts";

/** What a command finds around it: the configuration that its flags mean, and whose it is. */
export interface Place extends PlanInput {
  readonly loaded: Loaded;
  readonly user: ResolvedUser;
  readonly denoDir: string;
  /** What of `env` a person handed to this command, instead of it being there already. */
  readonly given: Environment;
  /** What is not used of the configuration, a sentence each. */
  readonly notes: readonly string[];
}

/** Reads the configuration that the flags of a command mean. Throws AppError `usage`, and what `loadConfig` throws. */
export async function loadFor(options: TurnOptions): Promise<Loaded> {
  const inherited = Deno.env.toObject();
  return await loadConfig(toLoadOptions(options, { ...inherited, ...readGivenEnv(options, inherited) }));
}

/** Looks around for a command. Makes nothing: `prepareWorkspace` makes the user's folders, `checkFolders` looks at them. Throws as `loadFor` does. */
export async function findPlace(options: TurnOptions): Promise<Place> {
  const inherited = Deno.env.toObject();
  const given = readGivenEnv(options, inherited);
  const variables = { ...inherited, ...given };
  const loaded = await loadConfig(toLoadOptions(options, variables));
  const refs = loaded.config.user.credential_refs;
  const { values, notes } = await lookUp(refs, variables);
  // A variable that is set is the person's word of this moment; the reference to it stands in a file.
  const env = { ...values, ...variables };
  // `#/` is src/; this file is one folder below it, like every file that findProgram is asked from.
  const program = findProgram(import.meta.url);
  return { env, given, notes, loaded, user: resolveUser(loaded), program, denoDir: await findDenoDir(env) };
}

/** What is looked up is loaded for those who have something to look up. */
async function lookUp(
  refs: Loaded["config"]["user"]["credential_refs"],
  env: Environment,
): Promise<ResolvedCredentials> {
  if (Object.keys(refs).length === 0) return { values: {}, notes: [] };
  const { resolveCredentialRefs }: typeof import("#/config/credential_refs.ts") = await import(
    new URL("../config/credential_refs.ts", import.meta.url).href
  );
  return resolveCredentialRefs(refs, { env, home: env.HOME });
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
