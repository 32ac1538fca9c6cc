import type { SpawnPlan } from "#/lib/spawn_piped.ts";
import { passEnv, underParent } from "#/sandbox/child_plan.ts";
import { DENIED_NET } from "#/sandbox/egress_address.ts";

/** Deno's cache, and the trust store of TLS. */
const PASSED_NAMES = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "NPM_CONFIG_REGISTRY", "DENO_TLS_CA_STORE", "DENO_CERT"];

/** What decides the flags of an egress process. */
export interface EgressPlanInput {
  /** Real path of the running Deno. */
  readonly denoPath: string;
  /** `file:` or `http(s):` URL of src/sandbox/egress.ts. */
  readonly entryUrl: string;
  /** Where its modules come from and that it finds none elsewhere: the guest's (`toModuleFlags`), for it has zod too. */
  readonly moduleFlags: readonly string[];
  /** Path of `setpriv`, where it exists: the process dies with its parent (Linux). */
  readonly pdeathsig?: string;
  /** The runner's environment: only what Deno needs for its cache and its trust store is passed on. */
  readonly env: Readonly<Record<string, string>>;
}

/** An egress process before it runs. */
export interface EgressPlan extends SpawnPlan {
  /** What it can reach, in words, one sentence each. */
  readonly reach: readonly string[];
}

/** Unix sockets that an egress process listens on and connects to: a folder, and where it may not reach every host, their paths. */
export interface EgressSockets {
  readonly dir: string;
  readonly paths: readonly string[];
}

/**
 * The flags of an egress process. Without `hosts`: every public address, the IPv4 ranges denied as a second wall behind the address
 * check (for IPv6 the check is the only one). With `hosts`, each `host:port`: these and nothing else. A Unix socket needs its exact path in
 * `--allow-net`, or all of the net, and beside it read and write of its path or folder (measured, Deno 2.9.6). Pure.
 */
export function planEgress(input: EgressPlanInput, hosts?: readonly string[], sockets?: EgressSockets): EgressPlan {
  const only = hosts === undefined ? [] : [...hosts, ...(sockets?.paths ?? []).map((path) => `unix:${path}`)];
  const net = hosts === undefined
    ? ["--allow-net", `--deny-net=${DENIED_NET.join(",")}`]
    // An empty list would be `--allow-net=`, which a reader could take for all.
    : only.length === 0
    ? []
    : [`--allow-net=${only.join(",")}`];
  const files = sockets === undefined ? [] : [`--allow-read=${sockets.dir}`, `--allow-write=${sockets.dir}`];
  const args = ["run", "-q", "--no-prompt", ...input.moduleFlags, ...net, ...files, input.entryUrl];
  const env = { ...passEnv(input.env, PASSED_NAMES), NO_COLOR: "1" };
  const reach = [
    hosts === undefined ? "connects to public addresses" : `connects to ${hosts.join(", ") || "no host"}`,
    sockets === undefined
      ? "reads no file and no environment, starts no process, loads no library"
      : "listens for what is behind walls in one folder of sockets, and asks the runner about each connection",
    ...(sockets === undefined ? [] : ["reads no other file and no environment, starts no process, loads no library"]),
  ];
  return { ...underParent(input, args), env, reach };
}
