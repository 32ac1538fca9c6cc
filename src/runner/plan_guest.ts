import { isInRange } from "#/lib/ipv4_range.ts";
import {
  type PlanInput,
  type ProcessPlan,
  toChildEnv,
  toFlagPath,
  toModuleFlags,
  withParentDeath,
} from "#/runner/process_plan.ts";

/** IPv4 ranges that no model host may resolve into: private, link-local, CGNAT, benchmarking, multicast, reserved (RFC 6890). Loopback is not among them: the gateway listens there, and the allow list names ports. */
const DENIED_RANGES = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
] as const;

/** What decides a guest's flags. */
export interface GuestPlanInput extends PlanInput {
  readonly internalDir: string;
  readonly lockPath: string;
  /** 0: any free port. */
  readonly port: number;
  /** In a container: all its addresses. */
  readonly hostname?: "0.0.0.0";
  /** `address:port` where it listens beside 127.0.0.1, and the same for a person. */
  readonly also?: string;
  readonly about?: string;
  /** `host:port` of each model endpoint and channel. */
  readonly hosts: readonly string[];
}

/** The guest's flags: one folder, its own address, its hosts. No run, no FFI, no env, no sys, no module from outside its graph. */
export function planGuest(input: GuestPlanInput): ProcessPlan {
  const also = input.also === undefined ? [] : [input.also];
  const own = [`${input.hostname ?? "127.0.0.1"}:${input.port}`, ...also];
  const net = [...own, ...input.hosts];
  const args = [
    "run",
    "-q",
    ...toModuleFlags(input.program, input.lockPath),
    `--allow-read=${toFlagPath(input.internalDir)}`,
    `--allow-write=${toFlagPath(input.internalDir)}`,
    `--allow-net=${net.join(",")}`,
    `--deny-net=${toDeniedRanges([...input.hosts, ...own]).join(",")}`,
    new URL("app/guest.ts", input.program.srcUrl).href,
  ];
  return {
    name: "guest",
    ...withParentDeath(input.program, args),
    env: toChildEnv(input.env),
    reach: [
      `reads and writes files below ${input.internalDir}, nothing else on disk`,
      input.port === 0 ? "listens on one free port of 127.0.0.1" : `listens on 127.0.0.1:${input.port}`,
      ...(input.about === undefined ? [] : [`listens on ${input.about}, where other machines may reach it`]),
      input.hosts.length === 0 ? "connects to no host" : `connects to ${input.hosts.join(", ")}`,
      "asks the runner for tool calls; cannot start a process, load a library, read the environment or import a module from outside",
    ],
  };
}

/**
 * What a process that speaks to these `host:port` may not reach, whatever their names resolve to. A configured literal lifts the range that
 * would refuse it; the allow list still names it alone.
 */
export function toDeniedRanges(hosts: readonly string[]): readonly string[] {
  return DENIED_RANGES.filter((range) => !hosts.some((host) => isInRange(hostNameOf(host), range)));
}

/** The name in `host:port`, brackets of an IPv6 address removed. */
function hostNameOf(host: string): string {
  return host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}
