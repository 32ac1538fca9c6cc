import type { UserFolders } from "#/config/user.ts";
import { listConfigFiles } from "#/config/watched_files.ts";
import type { StartedWith } from "#/runner/control_frames.ts";
import type { RunnerLock } from "#/runner/lock.ts";
import { planBind } from "#/runner/plan_bind.ts";
import { toBoxSettings } from "#/runner/plan_start.ts";
import { planTools, type ToolsPlan } from "#/runner/plan_tools.ts";
import { type ReloadInput, type Runner, startRunner } from "#/runner/runner.ts";
import type { TurnOptions } from "#/cli/main.ts";
import type { Place } from "#/cli/place.ts";
import type { TierFacts } from "#/runner/startup_status.ts";
import { describePlan, tellGuest } from "#/cli/start_plan.ts";

/** What a runner of this program is started from, by whichever command. */
export interface RunnerPlace extends Place {
  readonly folders: UserFolders;
  readonly version: string;
  readonly options: TurnOptions;
  /** When its configuration began to be read, integer ms UTC. */
  readonly since: number;
  /** `--plain-text-to-the-network`. */
  readonly plainText: boolean;
  /** How `oxydra start` was asked. */
  readonly startedWith?: StartedWith;
  /** Told what the log is told of an edit of the configuration. */
  readonly onNote: (line: string) => void;
}

/** Starts the runner of a place whose lock is held; a start that fails gives the lock back. Throws as `startRunner`, and what the configuration is refused for. */
export async function openRunner(place: RunnerPlace, lock: RunnerLock): Promise<Runner> {
  const { loaded, env, folders, version, user, program } = place;
  try {
    let tiers: TierFacts | undefined;
    const onTiers = (facts: TierFacts) => tiers = facts;
    const box = toBoxSettings(loaded.config, user.tier);
    const bind = planBind(loaded.config.gateway, { plainText: place.plainText });
    const plan = await describePlan(place);
    const tools = planTools(loaded.config, env, place.given);
    if (box !== undefined) await prepareBoxedShell(tools, place);
    return await startRunner({
      program,
      version,
      env,
      user: user.id,
      folders,
      hosts: plan.hosts,
      port: bind.port,
      bind,
      tools,
      lock,
      ...(box === undefined ? {} : { box }),
      ...(place.startedWith === undefined ? {} : { startedWith: place.startedWith }),
      tiers: () => tiers,
      bootstrap: () => tellGuest(place, plan, version, onTiers),
      reload: toReloadInput(place, onTiers),
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** What reads the configuration again is loaded when it is first wanted. */
function toReloadInput(
  { options, loaded, since, version, user, onNote }: RunnerPlace,
  onTiers: (facts: TierFacts) => void,
): ReloadInput {
  let latest = loaded;
  return {
    since,
    files: () => listConfigFiles(latest),
    async load(settings) {
      const { rereadSettings }: typeof import("#/cli/reread.ts") = await import(
        new URL("./reread.ts", import.meta.url).href
      );
      const reread = await rereadSettings({ options, user: user.id, version, settings });
      latest = reread.loaded;
      onTiers(reread.tiers);
      return reread;
    },
    onNote,
  };
}

/** Not a literal import: a guest that is a process waits for nothing of this. */
async function prepareBoxedShell({ shell }: ToolsPlan, { user, program, env, folders }: RunnerPlace): Promise<void> {
  const { prepareShell }: typeof import("#/runner/shell_host.ts") = await import(
    new URL("../runner/shell_host.ts", import.meta.url).href
  );
  await prepareShell(shell, { user: user.id, program, env, folders });
}
