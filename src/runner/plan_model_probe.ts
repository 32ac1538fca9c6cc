import { type PlanInput, type ProcessPlan, toChildEnv, toModuleFlags, withParentDeath } from "#/runner/process_plan.ts";
import { toDeniedRanges } from "#/runner/plan_guest.ts";

/** What decides the flags of the process that tries a model. */
export interface ModelProbeInput extends PlanInput {
  readonly lockPath: string;
  /** `host:port` of the endpoint. */
  readonly host: string;
}

/** The process that lists an endpoint's models and asks one for a word: a vendor's package runs in it, so it reaches that one host and no file. */
export function planModelProbe({ program, env, lockPath, host }: ModelProbeInput): ProcessPlan {
  const args = [
    "run",
    "-q",
    ...toModuleFlags(program, lockPath),
    `--allow-net=${host}`,
    `--deny-net=${toDeniedRanges([host]).join(",")}`,
    new URL("app/model_probe.ts", program.srcUrl).href,
  ];
  return {
    name: "model probe",
    ...withParentDeath(program, args),
    env: toChildEnv(env),
    reach: [`connects to ${host}; no file, no environment, no process`],
  };
}
