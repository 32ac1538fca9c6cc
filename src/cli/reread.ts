import type { Loaded } from "#/config/load.ts";
import { planTools } from "#/runner/plan_tools.ts";
import { checkFolders, prepareWorkspace } from "#/runner/prepare.ts";
import type { Reloaded } from "#/runner/reload.ts";
import { NO_TIERS, type TierFacts } from "#/runner/startup_status.ts";
import type { RunnerSettings } from "#/runner/settings.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { TurnOptions } from "#/cli/main.ts";
import { findPlace } from "#/cli/place.ts";
import { describePlan, tellGuest } from "#/cli/start_plan.ts";

/** What a runner that lives reads its configuration again with. */
export interface RereadInput {
  /** The flags of its start, which stay the strongest layer. */
  readonly options: TurnOptions;
  /** Whose runner it is. */
  readonly user: string;
  readonly version: string;
  /** In force. */
  readonly settings: RunnerSettings;
}

/**
 * Reads and checks the whole configuration as a start does, with the same rules of trust; the environment is that of the start. The place
 * of the workspace stays: another `workspace_root` is for the next start. Throws what a start throws; then nothing was changed, apart
 * from folders of new mounts.
 */
export async function rereadSettings(
  { options, user, version, settings }: RereadInput,
): Promise<Reloaded & { readonly loaded: Loaded; readonly tiers: TierFacts }> {
  const wanted = await findPlace({ ...options, user });
  // Another tier is another kind of process: a runner that lives keeps its walls, those of its shell with them.
  const { sandbox_tier: tier } = settings.told.startupStatus;
  const isSameTier = wanted.user.tier === tier;
  const place = isSameTier
    ? wanted
    : { ...wanted, user: { ...wanted.user, tier }, loaded: inTier(wanted.loaded, tier) };
  const { loaded, env, given } = place;
  const plan = await describePlan(place);
  const tools = planTools(loaded.config, env, given);
  const isHere = checkFolders(place.user, loaded, place).root === settings.folders.root;
  const folders = isHere ? prepareWorkspace(place.user, loaded, place) : settings.folders;
  let tiers: TierFacts = NO_TIERS;
  const told = await tellGuest(place, plan, version, (facts) => tiers = facts);
  const later = [...(isHere ? [] : ["workspace_root"]), ...(isSameTier ? [] : ["sandbox_tier"])];
  return { loaded, tiers, later, settings: { told, hosts: plan.hosts, tools, folders } };
}

function inTier(loaded: Loaded, tier: Tier): Loaded {
  const { config } = loaded;
  const behavior = { ...config.user.behavior, sandbox_tier: tier };
  return { ...loaded, config: { ...config, user: { ...config.user, behavior } } };
}
