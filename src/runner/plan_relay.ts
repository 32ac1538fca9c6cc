import { planBare, type PlanInput, type ProcessPlan } from "#/runner/process_plan.ts";

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
export function planRelay(input: PlanInput, request: RelayRequest): ProcessPlan {
  const { address, targets } = request;
  const far = targets.map(({ hostname, port }) => `${hostname}:${port}`);
  // Port 0: any free one, where its own is taken.
  const near = [`${address}:0`, ...targets.map(({ port }) => `${address}:${port}`)];
  return planBare(input, "runner/relay.ts", {
    name: "relay",
    flags: [`--allow-net=${[...near, ...far].join(",")}`],
    words: [JSON.stringify(request)],
    reach: [`carries connections from the guest's container to ${far.join(", ")}; no file, no environment, no process`],
  });
}
