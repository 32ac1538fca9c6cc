import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EngineImage, EngineInfo } from "#/sandbox/engine.ts";
import type { ContainerPlan } from "#/sandbox/engine_body.ts";
import type { WalledSpec } from "#/sandbox/tier.ts";

/** What beside the spec decides how a shell's container is made. */
export interface WalledContext {
  readonly info: EngineInfo;
  readonly image: EngineImage;
  readonly runtime?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the folder /shared on the host. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Inner paths of settings of projects. */
  readonly covered: readonly string[];
  /** An empty folder of the host, to cover them with. */
  readonly emptyDir: string;
}

/** Names that engines set by themselves. */
const ENGINE_ENV = ["HOSTNAME", "container"];

/**
 * A walled process as a container: its folders, its files, its way out, its limits. It runs as who owns the folders, without any of that user's
 * powers; without root the engine calls that user uid 0. Pure.
 */
export function planWalled(
  spec: WalledSpec,
  { info, image, runtime, labels, owner, covered, emptyDir }: WalledContext,
): ContainerPlan {
  const { limits, mounts, files, netDir } = spec;
  const env = {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: "/tmp",
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...spec.env,
  };
  const readOnly = [
    ...Object.entries(files).map(([target, source]) => ({ source, target, readOnly: true })),
    // A socket is connected to through a read-only mount as well.
    ...netDir === undefined ? [] : [{ source: netDir, target: "/run/oxydra-net", readOnly: true }],
  ];
  return {
    image: image.id,
    argv: spec.argv,
    env,
    envUnset: [...image.envNames, ...ENGINE_ENV].filter((name) => !(name in env)),
    user: info.rootless ? "0:0" : `${owner.uid}:${owner.gid}`,
    cwd: "/shared",
    hostname: "oxydra",
    labels,
    mounts: [
      { source: mounts.shared, target: "/shared", readOnly: false },
      { source: mounts.tmp, target: "/tmp", readOnly: false },
      ...readOnly,
      // Not a tmpfs: Podman mounts these first, and a folder that is mounted over them would show what they cover (measured).
      ...covered.map((target) => ({ source: emptyDir, target, readOnly: true })),
    ],
    memoryBytesMax: limits.memoryBytesMax,
    // gVisor's own threads count among those of the container, and one for each process inside.
    processesMax: limits.processesMax + (runtime === undefined ? 0 : LIMITS.kernelThreadsMax),
    ...limits.cpusMax === undefined ? {} : { cpusMax: limits.cpusMax },
    ulimits: {
      fsize: limits.fileBytesMax,
      cpu: limits.cpuSecondsMax,
      nofile: LIMITS.wallOpenFilesMax,
      core: 0,
    },
    ...runtime === undefined ? {} : { runtime },
    init: info.hasInit,
    network: "none",
    hostUsers: info.remapsUsers && !info.rootless,
  };
}

/** Names of OCI runtimes that have a kernel of their own: gVisor's and Kata's. Whether one really has is tried. */
const OWN_KERNEL = /^(runsc|gvisor|kata(-[\w-]+)?|io\.containerd\.(runsc|kata)[\w.-]*)$/;

/** The runtime of the micro_vm tier. Throws AppError `tier_unavailable` with `params.install` when the engine has none. Pure. */
export function toKernelRuntime({ runtimes, about }: Pick<EngineInfo, "runtimes" | "about">): string {
  const found = runtimes.toSorted().find((name) => OWN_KERNEL.test(name));
  if (found !== undefined) return found;
  const install = "install gVisor (apt-get install runsc && runsc install) or Kata Containers, and restart the engine";
  const text = `${about} has no runtime with a kernel of its own, only ${runtimes.join(", ")}`;
  throw new AppError("tier_unavailable", text, { params: { install } });
}

/** What a trial asks inside, for `judgeTrial`. Nothing but bash answers. */
export const TRIAL_SCRIPT = `
read -r version </proc/version && echo "$version"
while read -r line; do case $line in CapEff:*|CapBnd:*|NoNewPrivs:*|Seccomp:*) echo "$line";; esac; done </proc/self/status
while read -r line; do case $line in *:*) echo "net \${line%%:*}";; esac; done </proc/net/dev
echo >/shared/try && echo shared; echo >/tmp/try && echo tmp; (echo >/try) 2>/dev/null && echo root
[ -S /run/oxydra-net/proxy.sock ] && echo socket; exit 0`;

/** What a trial has shown. */
export interface Trial {
  /** Why the tier cannot be used. */
  readonly failure?: string;
  /** Sockets of the host can be reached: there is a way out where one is granted. */
  readonly hasSockets: boolean;
}

/** What the engine did, not what it was asked for. Pure. */
export function judgeTrial(said: string, { info, runtime }: Pick<WalledContext, "info" | "runtime">): Trial {
  const lines = said.trim().split("\n");
  const has = (line: string) => lines.includes(line);
  const value = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.split(/\s+/)[1];
  const wrong: readonly (readonly [isWrong: boolean, why: string])[] = [
    [!lines[0]!.startsWith("Linux version"), "it answers with what nobody asked for"],
    [
      runtime !== undefined && lines[0]!.includes(info.kernel),
      `its runtime ${runtime} runs on this machine's own kernel`,
    ],
    [
      !/^0*$/.test(value("CapEff") ?? "") || !/^0*$/.test(value("CapBnd") ?? ""),
      "it leaves capabilities to a container",
    ],
    [runtime === undefined && value("NoNewPrivs") !== "1", "it lets a container gain powers"],
    [runtime === undefined && info.hasSeccomp && value("Seccomp") !== "2", "it filters no system calls"],
    [lines.some((line) => /^net (?!\s*lo$)/.test(line)), "it gives a container a network"],
    [!has("shared") || !has("tmp"), "the folders of the workspace cannot be written to inside"],
    [has("root"), "the system inside is not read-only"],
  ];
  const failure = wrong.find(([isWrong]) => isWrong)?.[1];
  return { ...failure === undefined ? {} : { failure }, hasSockets: has("socket") };
}
