import { toPrintable } from "#/lib/printable.ts";
import type { Loaded } from "#/config/load.ts";
import { probeLocalServers } from "#/provider/local_servers.ts";
import { isDescribed, planStart, type StartPlan } from "#/runner/plan_start.ts";
import type { Environment, Program } from "#/runner/process_plan.ts";
import type { Told } from "#/runner/settings.ts";
import { type NoShell, planShell, type ShellPlan, toWantedTier } from "#/runner/plan_shell.ts";
import { type TierFacts, toStartupStatus } from "#/runner/startup_status.ts";
import type { ResolvedUser } from "#/config/user.ts";

/** What a start is planned from. */
export interface PlanPlace {
  readonly loaded: Loaded;
  readonly env: Environment;
  readonly given?: Environment;
  readonly notes?: readonly string[];
  readonly user: ResolvedUser;
  readonly program: Program;
}

/**
 * The plan of a start with what the catalog knows of its models; notes about catalog files go to stderr. The demo needs none: what reads a
 * catalog is not even loaded for it. Throws as `planStart` and `describeStart`.
 */
export async function describePlan({ loaded, env, notes = [] }: PlanPlace): Promise<StartPlan> {
  for (const note of notes) console.error(`oxydra: not used: ${toPrintable(note)}`);
  const plan = planStart(loaded, env, []);
  if (isDescribed(plan, loaded)) return plan;
  const { describeStart }: typeof import("#/runner/describe_start.ts") = await import(
    new URL("../runner/describe_start.ts", import.meta.url).href
  );
  const described = await describeStart(plan, loaded);
  for (const note of described.notes) console.error(`oxydra: not used of the model catalog: ${toPrintable(note)}`);
  return described.plan;
}

/**
 * What a guest is told of a plan. Only a start that ends at the demo by itself looks for a model server on this machine; it asks for names
 * of models and nothing else.
 */
export async function tellGuest(
  { loaded, env, given = {}, user, program }: PlanPlace,
  described: StartPlan,
  version: string,
  onTiers: (facts: TierFacts) => void = () => {},
): Promise<Told> {
  const { provider, model: selected } = loaded.config.selection;
  const isLost = described.model.type === "demo" && provider === undefined && selected === undefined;
  const plan = isLost ? planStart(loaded, env, await probeLocalServers(fetch)) : described;
  const { model, fallback, settings, store } = plan;
  const wanted = planShell(loaded.config, env, given);
  const facts = await findTiers({ loaded, env, user, program }, wanted);
  onTiers(facts);
  const { shell, browser } = facts;
  const told = {
    version,
    timezone: given.TZ ?? plan.timezone,
    model,
    fallback: [...fallback],
    settings,
    startupStatus: toStartupStatus(facts),
    ...(browser.available ? { hasBrowser: true as const } : {}),
    ...(shell.available && !("off" in wanted) ? { shellSecs: wanted.timeoutSecs } : {}),
  };
  return store === undefined ? told : { ...told, store: { url: store.url, token: store.token.reveal() } };
}

/** What holds shell and browser on this machine. */
async function findTiers(
  { loaded, env, user, program }: Pick<PlanPlace, "loaded" | "env" | "user" | "program">,
  wanted: ShellPlan | NoShell,
): Promise<TierFacts> {
  const { findShell, findWalls }: typeof import("#/runner/shell_host.ts") = await import(
    new URL("../runner/shell_host.ts", import.meta.url).href
  );
  const { findBrowser }: typeof import("#/runner/find_browser.ts") = await import(
    new URL("../runner/find_browser.ts", import.meta.url).href
  );
  const place = { user: user.id, program, env, folders: user.folders };
  const { tools: { browser: config }, user: { behavior } } = loaded.config;
  const needsWalls = config.enabled && behavior.browser_enabled !== false && config.cdp_url === undefined;
  const walls = "off" in wanted && needsWalls ? await findWalls(toWantedTier(loaded.config), place) : undefined;
  const shell = await findShell(wanted, place);
  return {
    tier: user.tier,
    shell,
    browser: findBrowser({ config, enabled: behavior.browser_enabled, walls: walls ?? shell }),
  };
}
