/** Of one uid, on the host too where uids are not mapped: `processesMax` is what bounds a container. */
const USER_PROCESSES = 10_000;

/** A folder, a file or a socket of the host inside a container. The host path exists. */
export interface ContainerMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A container, as it is to be created. Its walls are not in here: `toContainerBody` puts them up for every one. */
export interface ContainerPlan {
  readonly image: string;
  /** Replaces the image's entry point and command. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Names that the image or the engine would set and that are to be absent. */
  readonly envUnset?: readonly string[];
  /** `uid:gid`, numbers. */
  readonly user: string;
  readonly cwd: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly ContainerMount[];
  /** Empty folders in memory, with their size in bytes; 0 is an unwritable one. */
  readonly tmpfs?: Readonly<Record<string, number>>;
  readonly memoryBytesMax: number;
  readonly processesMax: number;
  readonly cpusMax?: number;
  /** By the names of setrlimit(2), e.g. `nofile`. */
  readonly ulimits: Readonly<Record<string, number>>;
  /** An OCI runtime that the engine has; absent: its own. */
  readonly runtime?: string;
  /** A process of the engine's own as the first one, which reaps what nobody waits for. */
  readonly init: boolean;
  /** `none`, or the name of a network of the engine. Never `host`. */
  readonly network: string;
  /** Port inside by port on 127.0.0.1; 0 lets the engine choose, and `inspect` says which. */
  readonly publish?: Readonly<Record<number, number>>;
  /** An address of the host that leads to the same port inside: other machines may come there. */
  readonly beside?: { readonly address: string; readonly port: number };
  /** The engine maps its users to others: this container is exempt, or no folder of the host would be writable in it. */
  readonly hostUsers?: boolean;
}

/**
 * The body of `POST /containers/create` (Docker Engine API 1.41; Podman's is the same). Every container of ours has no capability, cannot gain
 * one, has a read-only root, its own namespaces, the engine's seccomp profile, no log beside ours, and no restart. Pure.
 */
export function toContainerBody(plan: ContainerPlan): Readonly<Record<string, unknown>> {
  if (plan.network === "host" || plan.network.startsWith("container:")) throw new RangeError("a network of its own");
  const own = Object.entries(plan.publish ?? {}).map(([inner, outer]) =>
    [inner, "127.0.0.1", `${outer || ""}`] as const
  );
  const { beside } = plan;
  const ports = beside ? [...own, [`${beside.port}`, beside.address, `${beside.port}`] as const] : own;
  return {
    Image: plan.image,
    Entrypoint: [],
    Cmd: plan.argv,
    // A name without "=" is one that the engine removes.
    Env: [...Object.entries(plan.env).map(([name, value]) => `${name}=${value}`), ...plan.envUnset ?? []],
    User: plan.user,
    WorkingDir: plan.cwd,
    Hostname: plan.hostname,
    Labels: plan.labels,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Healthcheck: { Test: ["NONE"] },
    ExposedPorts: Object.fromEntries(ports.map(([inner]) => [`${inner}/tcp`, {}])),
    StopTimeout: 1,
    HostConfig: {
      ...toWalls(plan),
      NetworkMode: plan.network,
      PortBindings: Object.fromEntries(
        ports.map(([inner, HostIp, HostPort]) => [`${inner}/tcp`, [{ HostIp, HostPort }]]),
      ),
      // Not `Binds`: these make a missing folder on the host, as root.
      Mounts: plan.mounts.map(({ source, target, readOnly }) => ({
        Type: "bind",
        Source: source,
        Target: target,
        ReadOnly: readOnly,
        BindOptions: { Propagation: "rprivate" },
      })),
      Tmpfs: Object.fromEntries(
        Object.entries(plan.tmpfs ?? {}).map(([path, bytes]) => [path, toTmpfs(bytes)]),
      ),
      ...plan.runtime === undefined ? {} : { Runtime: plan.runtime },
      Init: plan.init,
    },
  };
}

function toTmpfs(bytes: number): string {
  return `nosuid,nodev,noexec,${bytes === 0 ? "ro,size=4096,mode=0555" : `rw,size=${bytes},mode=1777`}`;
}

function toWalls(plan: ContainerPlan): Readonly<Record<string, unknown>> {
  return {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    Privileged: false,
    IpcMode: "private",
    CgroupnsMode: "private",
    PidMode: "",
    UTSMode: "",
    UsernsMode: plan.hostUsers ? "host" : "",
    Memory: plan.memoryBytesMax,
    // As much as Memory: nothing goes to the host's swap.
    MemorySwap: plan.memoryBytesMax,
    PidsLimit: plan.processesMax,
    NanoCpus: Math.round((plan.cpusMax ?? 0) * 1e9),
    // Podman asks for 4,194,304 processes of the user otherwise, which an engine without CAP_SYS_RESOURCE cannot give.
    Ulimits: Object.entries({ nproc: USER_PROCESSES, ...plan.ulimits }).map(([Name, max]) => ({
      Name,
      Soft: max,
      Hard: max,
    })),
    OomKillDisable: false,
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
  };
}
