import { type PlanInput, type ProcessPlan, toBareEntry, toChildEnv, withParentDeath } from "#/runner/process_plan.ts";
import { toBareFlags } from "#/sandbox/child_plan.ts";

/** What a relay does, as its one argument. */
export interface RelayRequest {
  /** IPv4 address of this machine in the container's network. */
  readonly address: string;
  /** Who may connect: CIDR. */
  readonly subnet: string;
  /** On this machine's loopback. */
  readonly targets: readonly { readonly hostname: string; readonly port: number }[];
}

/** The process that carries a boxed guest's connections to servers on this machine's loopback: these ports, no file, nothing else. Pure. */
export function planRelay({ program, env }: PlanInput, request: RelayRequest): ProcessPlan {
  const { address, targets } = request;
  const far = targets.map(({ hostname, port }) => `${hostname}:${port}`);
  // Port 0: any free one, where its own is taken.
  const near = [`${address}:0`, ...targets.map(({ port }) => `${address}:${port}`)];
  const entry = toBareEntry(program, "runner/relay.ts");
  const net = `--allow-net=${[...near, ...far].join(",")}`;
  return {
    name: "relay",
    ...withParentDeath(program, ["run", "-q", ...toBareFlags(entry), net, entry.entryUrl, JSON.stringify(request)]),
    env: toChildEnv(env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME"]),
    reach: [`carries connections from the guest's container to ${far.join(", ")}; no file, no environment, no process`],
  };
}
