import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join, toFilePath } from "#/lib/path.ts";
import { type GuestPlanInput, planGuest } from "#/runner/plan_guest.ts";
import type { ProcessPlan, Program } from "#/runner/process_plan.ts";
import type { ContainerMount, ContainerPlan } from "#/sandbox/engine_body.ts";

/** What a configuration says of a guest in a container. */
export interface BoxSettings {
  readonly tier: "container" | "micro_vm";
  /** Name of its image. */
  readonly image: string;
  /** `[resources]`; what is absent has no limit but `boxProcessesMax`. */
  readonly cpusMax?: number;
  readonly memoryMibMax?: number;
  readonly processesMax?: number;
}

/** What decides how a guest's container is made. */
export interface BoxPlanInput extends Omit<GuestPlanInput, "hostname" | "lockPath"> {
  /** Of the user's runner. */
  readonly runDir: string;
  readonly settings: BoxSettings;
  /** Of the container. */
  readonly name: string;
  /** Names what is of one workspace, for who cleans up. */
  readonly labels: Readonly<Record<string, string>>;
  readonly network: string;
  /** OCI runtime; absent: the engine's own. */
  readonly runtime?: string;
  /** Real path of Deno's cache. */
  readonly denoDir: string;
  /** Who the guest is: the owner of its folder. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** The engine maps its users to others, and this container is exempt. */
  readonly hostUsers?: boolean;
}

/** A guest's container before it is made: what `doctor` shows, and what the engine is sent. */
export interface BoxPlan extends ProcessPlan {
  readonly container: ContainerPlan;
}

/** Of the guest's environment, what means something inside. */
const INSIDE_NAMES: ReadonlySet<string> = new Set([
  "DENO_DIR",
  "DENO_NO_UPDATE_CHECK",
  "DENO_TLS_CA_STORE",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "NPM_CONFIG_REGISTRY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "TZ",
  "NO_COLOR",
]);
const ANY = "0.0.0.0";

/**
 * The container of a guest: the program, Deno and its packages read-only, the guest's folder, one port on the machine's loopback, no
 * capability, and inside it the very flags of a guest without one. Paths are the same inside, so that those flags are. Pure. Throws AppError
 * `config_invalid` for a path that Deno takes no permission for, and for a secret that `docker inspect` would show.
 */
export function planBox(input: BoxPlanInput): BoxPlan {
  const { settings, port, also, network, runtime, owner, program } = input;
  const beside = also === undefined ? undefined : toAddress(also);
  const guest = planGuest({
    ...input,
    lockPath: toBoxLock(input),
    hostname: ANY,
    program: { ...program, setprivPath: null },
    ...(beside === undefined ? {} : { also: `${ANY}:${beside.port}` }),
  });
  const env = Object.fromEntries(Object.entries(guest.env).filter(([name]) => INSIDE_NAMES.has(name)));
  Object.entries(env).forEach(checkOpen);
  const { cpusMax, memoryMibMax = 0, processesMax = LIMITS.boxProcessesMax } = settings;
  const container: ContainerPlan = {
    image: settings.image,
    argv: [guest.command, ...guest.args],
    env,
    user: `${owner.uid}:${owner.gid}`,
    cwd: "/",
    hostname: "oxydra",
    labels: input.labels,
    mounts: toMounts(input),
    tmpfs: { "/tmp": LIMITS.boxTmpBytesMax },
    memoryBytesMax: memoryMibMax * 1_048_576,
    processesMax,
    ...(cpusMax === undefined ? {} : { cpusMax }),
    ulimits: {},
    ...(runtime === undefined ? {} : { runtime }),
    init: false,
    network,
    publish: { [port]: port },
    ...(beside === undefined ? {} : { beside }),
    ...(input.hostUsers ? { hostUsers: true } : {}),
  };
  return { name: "guest", ...toCommand(input.name, container), env, reach: toReach(input), container };
}

/** What a guest in a container can reach, in words. */
function toReach({ settings, port, about, internalDir, hosts, runtime }: BoxPlanInput): string[] {
  const how = settings.tier === "micro_vm"
    ? `a container with a kernel of its own (${runtime ?? "runsc or kata"})`
    : "a container";
  return [
    `runs in ${how} from the image ${settings.image}: no capability, nothing writable but ${internalDir} and a small /tmp`,
    "sees of this machine's files the program, Deno and Deno's packages, read-only",
    port === 0 ? "is published on one free port of 127.0.0.1" : `is published on 127.0.0.1:${port}`,
    ...(about === undefined ? [] : [`is published on ${about}, where other machines may reach it`]),
    hosts.length === 0 ? "Deno lets it connect to no host" : `Deno lets it connect to ${hosts.join(", ")} alone`,
    "asks the runner for tool calls; cannot start a process, load a library, read the environment or import a module from outside",
  ];
}

/**
 * The lock of a guest's modules in its container. From a URL Deno writes the hashes of our own modules into it, beside it first: that takes a
 * folder of its own, made anew for each guest.
 */
export function toBoxLock({ program, runDir }: Pick<BoxPlanInput, "program" | "runDir">): string {
  return join(runDir, program.source === "file" ? "guest.lock" : "box/guest.lock");
}

function toMounts(input: BoxPlanInput): ContainerMount[] {
  const { program, denoDir, runDir, internalDir, env } = input;
  const isFile = program.source === "file";
  const writable = [internalDir, ...(isFile ? [] : [join(runDir, "box")])];
  const readOnly = [
    program.denoPath,
    ...(isFile ? [...toTree(program, denoDir), toBoxLock(input)] : [join(denoDir, "remote")]),
    join(denoDir, "npm"),
    join(runDir, "deno"),
    ...[env.DENO_CERT, env.NODE_EXTRA_CA_CERTS].flatMap((path) => path ? [path] : []),
  ];
  return [
    ...[...new Set(readOnly)].map((path) => ({ source: path, target: path, readOnly: true })),
    ...writable.map((path) => ({ source: path, target: path, readOnly: false })),
  ];
}

/** A checkout: its source, its import map, and what Deno made of them already, which is 200 ms of a start. */
function toTree({ srcUrl }: Program, denoDir: string): string[] {
  const root = toFilePath(new URL("../", srcUrl)).replace(/\/$/, "");
  const made = join(denoDir, "gen/file", root);
  return [join(root, "src"), join(root, "deno.json"), ...(isThere(made) ? [made] : [])];
}

function isThere(path: string): boolean {
  return attempt(() => Deno.statSync(path).isDirectory) ?? false;
}

/** The same for a person's eyes: what would be typed to make it. */
function toCommand(name: string, container: ContainerPlan): Pick<ProcessPlan, "command" | "args"> {
  const { runtime, user, network, publish = {}, beside, processesMax, memoryBytesMax, cpusMax } = container;
  const { tmpfs = {}, mounts, env } = container;
  const ports = Object.entries(publish).map(([inner, outer]) => `127.0.0.1:${outer}:${inner}`);
  if (beside !== undefined) ports.push(`${beside.address}:${beside.port}:${beside.port}`);
  const options: readonly (readonly [option: string, value: string | number | undefined])[] = [
    ["--name", name],
    ["--runtime", runtime],
    ["--user", user],
    ["--network", network],
    ...ports.map((port) => ["--publish", port] as const),
    ["--cap-drop", "ALL"],
    ["--security-opt", "no-new-privileges"],
    ["--log-driver", "none"],
    ["--pids-limit", processesMax],
    ["--memory", memoryBytesMax || undefined],
    ["--cpus", cpusMax],
    ...Object.entries(tmpfs).map(([path, bytes]) => ["--tmpfs", `${path}:size=${bytes}`] as const),
    ...mounts.map(({ source, target, readOnly }) =>
      ["--volume", `${source}:${target}${readOnly ? ":ro" : ""}`] as const
    ),
    ...Object.entries(env).map(([name, value]) => ["--env", `${name}=${value}`] as const),
  ];
  const given = options.flatMap(([option, value]) => value === undefined ? [] : [option, `${value}`]);
  return {
    command: "docker",
    args: ["create", "--interactive", "--read-only", ...given, container.image, ...container.argv],
  };
}

/** `docker inspect` shows the environment of a container to whoever may use the engine. */
function checkOpen([name, value]: readonly [string, string]): void {
  const url = URL.parse(value);
  if (!url?.username && !url?.password) return;
  const text =
    `${name} has a user name or a password in it, which the container's engine would show; --tier process passes it on`;
  throw new AppError("config_invalid", text);
}

function toAddress(address: string): NonNullable<ContainerPlan["beside"]> {
  const [, hostname = "", port = ""] = /^(.*):(\d+)$/.exec(address) ?? [];
  return { address: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
}
