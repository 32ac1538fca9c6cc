import type { UserFolders } from "#/config/user.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { type Environment, type PlanInput, toParent } from "#/runner/process_plan.ts";
import type { EnginePlace } from "#/sandbox/engine_find.ts";
import type { TierOptions } from "#/sandbox/tiers.ts";

/** Whose walls they are, and what they are made with. `env` is the runner's own. */
export interface TierPlace extends PlanInput {
  readonly user: string;
  readonly folders: Pick<UserFolders, "root" | "run">;
  /** `[guest_images] shell_vm`. */
  readonly image: string;
}

/** The default of `[guest_images] shell_vm`. */
const OWN_IMAGE = "shell-vm:latest";
const WORKSPACE_CHARS = 12;

/** Where an engine is looked for, as this environment says. */
export function toEnginePlace(
  { DOCKER_HOST: dockerHost = "", XDG_RUNTIME_DIR: runtimeDir = "" }: Environment,
): EnginePlace {
  return { dockerHost, ...(runtimeDir === "" ? {} : { runtimeDir }), uid: Deno.uid() ?? 0 };
}

/** Names a user's workspace and no other among what an engine has: `[0-9a-f]`, 12 of them. */
export async function toWorkspaceId({ root }: Pick<UserFolders, "root">): Promise<string> {
  return (await sha256Hex(root)).slice(0, WORKSPACE_CHARS);
}

/** What the driver of any tier is made with. `onLog` is told what an engine does and says, for `logs/sidecar.log`. */
export async function toTierOptions(
  { user, folders, program, env, image }: TierPlace,
  onLog: (line: string) => void = () => {},
): Promise<TierOptions> {
  return {
    user,
    dir: folders.run,
    pdeathsig: toParent(program).pdeathsig,
    engine: {
      workspace: await toWorkspaceId(folders),
      place: toEnginePlace(env),
      image,
      isOwnImage: image === OWN_IMAGE,
      onLog,
    },
  };
}
