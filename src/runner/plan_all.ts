import { join } from "#/lib/path.ts";
import type { UserFolders } from "#/config/user.ts";
import { toSandboxEnv } from "#/runner/cache_view.ts";
import { controlPath, endpointPath } from "#/runner/endpoint.ts";
import type { BindPlan } from "#/runner/plan_bind.ts";
import { toLoopback } from "#/runner/box_hosts.ts";
import { type BoxSettings, planBox } from "#/runner/plan_box.ts";
import { planClient } from "#/runner/plan_client.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { planLogReader } from "#/runner/plan_log_reader.ts";
import { planRelay } from "#/runner/plan_relay.ts";
import { planTui } from "#/runner/plan_tui.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import type { PlanInput, ProcessPlan } from "#/runner/process_plan.ts";
import { planEgressOf, planInspector, planToolChild } from "#/runner/tool_host.ts";
import { openEgress } from "#/sandbox/egress_client.ts";

/** What decides the flags of every process of one user. */
export interface AllPlansInput extends PlanInput {
  /** Real paths. */
  readonly folders: UserFolders;
  /** Of the gateway that lives; 0 when none does. */
  readonly port: number;
  /** `host:port` of the model endpoint and of channels. */
  readonly hosts: readonly string[];
  readonly tools: ToolsPlan;
  /** Where the gateway listens beside 127.0.0.1. */
  readonly bind?: Pick<BindPlan, "also" | "about">;
  /** Of a guest in a container. */
  readonly box?: { readonly settings: BoxSettings; readonly user: string; readonly denoDir: string };
}

/**
 * Every process as it would be started, by the code that starts it; `doctor`, `posture` and `selfcheck` speak of these and of no
 * others. Pure. Throws AppError `config_invalid` for what no start could obey either.
 */
export function planAll(input: AllPlansInput): ProcessPlan[] {
  const { program, env, folders, port, hosts, tools, bind, box } = input;
  const sandboxEnv = toSandboxEnv(env, folders.run);
  const lockPath = join(folders.run, "guest.lock");
  const client = { program, env, port, endpointPath: endpointPath(folders.ipc) };
  return [
    {
      name: "runner",
      command: program.denoPath,
      args: ["run", "-A", new URL("../mod.ts", program.srcUrl).href],
      env: {},
      reach: [
        "everything the person who starts it can reach: it starts the others, decides what tools may do and opens files for them",
        "sees no prompt and no conversation",
      ],
    },
    planClient({ ...client, controlPath: controlPath(folders.ipc) }, ["<request>"]),
    planTui({ ...client, controlPath: controlPath(folders.ipc), lockPath }, ["<request>"]),
    ...(box === undefined
      ? [planGuest({ program, env: sandboxEnv, internalDir: folders.internal, lockPath, port: 0, hosts, ...bind })]
      : planBoxed({ ...input, env: sandboxEnv, box })),
    {
      name: "tool child",
      ...planToolChild({ program, env: sandboxEnv }),
      reach: [
        "nothing: no file, no network, no environment, no process",
        "asks the runner over its stdio for what the grant of one call names",
      ],
    },
    {
      name: "inspector",
      ...planInspector({ program, env: sandboxEnv }),
      reach: ["nothing: it looks at a tool package before the package is installed, and ends"],
    },
    ...planEgresses({ program, env: sandboxEnv, folders }, tools),
    planLogReader({ program, env, internalDir: folders.internal, question: ["heads"] }),
  ];
}

/** The guest's container, and what carries its connections to this machine's loopback when there are some. */
function planBoxed(
  { program, env, folders, port, hosts, bind, box: { settings, user, denoDir } }:
    & AllPlansInput
    & Required<Pick<AllPlansInput, "box">>,
): ProcessPlan[] {
  const targets = toLoopback(hosts);
  // Which address the network will have only its engine knows.
  const relay = planRelay({ program, env }, { address: "0.0.0.0", subnet: "0.0.0.0/0", targets });
  const guest = planBox({
    ...bind,
    program,
    env,
    internalDir: folders.internal,
    runDir: folders.run,
    port,
    hosts,
    settings,
    name: `oxydra-guest-${user}`,
    labels: {},
    network: `oxydra-${user}`,
    ...(settings.tier === "micro_vm" ? { runtime: "runsc" } : {}),
    denoDir,
    owner: { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 },
  });
  return [guest, ...(targets.length === 0 ? [] : [relay])];
}

function planEgresses(input: Parameters<typeof planEgressOf>[0], { egress }: ToolsPlan): ProcessPlan[] {
  const { plans } = openEgress({ plan: planEgressOf(input), ...egress, onException: () => {}, onLog: () => {} });
  // The public one is first, and in strict mode there is none.
  return plans.map((plan, i) => ({
    name: i === 0 && egress.mode === "default" ? "egress public" : "egress listed",
    ...plan,
  }));
}
