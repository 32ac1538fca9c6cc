import { attempt } from "#/core/error.ts";
import type { WalledSpec } from "#/sandbox/tier.ts";

/** What of a host's tree a walled process sees, read once. */
export interface SystemView {
  /** `bin`, `lib64` …: what they link to, e.g. `usr/bin`; undefined where it is a folder of its own. */
  readonly roots: readonly (readonly [name: string, target: string | undefined])[];
  /** Files and folders of /etc that programs need; nothing of them is a person's or a secret. */
  readonly etc: readonly string[];
  /** Below /proc, what is the machine's: files that not everybody reads or that somebody writes, and folders. */
  readonly hidden: readonly { readonly path: string; readonly isFolder: boolean }[];
  /** Whether bwrap knows `--disable-userns` (0.8). */
  readonly canDisableUserns: boolean;
}

/** Descriptors that bwrap reads files of ours from, in the order in which `BWRAP_SCRIPT` opens them, from 3. */
export const BWRAP_FILES = ["args", "filter", "passwd", "group", "hosts", "nsswitch.conf"] as const;

/** Where each folder of /etc that holds keys has its public part: the folder itself is never shown. */
const ETC = `
  alternatives ca-certificates.conf crypto-policies ssl/certs ssl/cert.pem ssl/openssl.cnf
  pki/ca-trust/extracted pki/tls/certs pki/tls/cert.pem pki/tls/openssl.cnf
  chromium chromium.d debian_version fonts inputrc ld.so.cache ld.so.conf ld.so.conf.d locale.alias localtime magic mime.types os-release
  protocols services terminfo timezone`.trim().split(/\s+/);
const ROOTS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/** Folders that container engines hide, and for the same reason: they are the machine's, and a runner that is root owns them. */
const HIDDEN_FOLDERS = ["acpi", "asound", "bus", "driver", "fs", "irq", "scsi"];
const UID = "1000";

/** Looks at this host. */
export function readSystemView(canDisableUserns: boolean): SystemView {
  const stat = (path: string) => attempt(() => Deno.lstatSync(path));
  const java = stat("/etc")?.isDirectory
    ? [...Deno.readDirSync("/etc")].map(({ name }) => name).filter((name) => /^java-[\w-]+$/.test(name))
    : [];
  return {
    roots: ROOTS.flatMap((name) => {
      const found = stat(`/${name}`);
      if (found === undefined) return [];
      return [[name, found.isSymlink ? Deno.readLinkSync(`/${name}`) : undefined]];
    }),
    etc: [...ETC, ...java].filter((name) => stat(`/etc/${name}`) !== undefined),
    hidden: [...Deno.readDirSync("/proc")].filter(({ name }) => !/^\d+$/.test(name)).flatMap(({ name }) => {
      const { mode, isFile, isDirectory } = stat(`/proc/${name}`) ?? {};
      const isHidden = isDirectory ? HIDDEN_FOLDERS.includes(name) : isFile && ((mode ?? 0) & 0o224) !== 0o004;
      return isHidden ? [{ path: `/proc/${name}`, isFolder: isDirectory === true }] : [];
    }),
    canDisableUserns,
  };
}

/**
 * The options of bwrap for one process. `covered` are inner paths, folders, over which an empty read-only mount comes. Values of the
 * environment are among them, so they are for `--args`, never for a command line. Throws RangeError for a name or a value that no
 * environment can hold, and for an inner path that is not one.
 */
export function planBwrap(
  spec: Pick<WalledSpec, "mounts" | "env" | "files" | "netDir">,
  view: SystemView,
  covered: readonly string[],
): string[] {
  const hosted = (name: typeof BWRAP_FILES[number]) => String(BWRAP_FILES.indexOf(name) + 3);
  const args = [
    ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"],
    ...(view.canDisableUserns ? ["--disable-userns"] : []),
    ...["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"],
    ...["--uid", UID, "--gid", UID, "--hostname", "oxydra", "--seccomp", hosted("filter")],
    ...["--ro-bind", "/usr", "/usr"],
    ...view.roots.flatMap(([name, target]) =>
      target === undefined ? ["--ro-bind", `/${name}`, `/${name}`] : ["--symlink", target, `/${name}`]
    ),
    ...["--perms", "0755", "--dir", "/etc"],
    ...view.etc.flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]),
    ...(["passwd", "group", "hosts", "nsswitch.conf"] as const).flatMap(
      (name) => ["--perms", "0444", "--ro-bind-data", hosted(name), `/etc/${name}`],
    ),
    // Its files ask for the owner and no capability: a runner that is root would hand out core_pattern and the rest.
    ...["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"],
    ...view.hidden.flatMap(({ path, isFolder }) =>
      isFolder ? ["--tmpfs", path, "--remount-ro", path] : ["--ro-bind", "/dev/null", path]
    ),
    ...["--dev", "/dev", "--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"],
    ...["--bind", spec.mounts.shared, "/shared", "--bind", spec.mounts.tmp, "/tmp"],
    // A tmpfs would be memory that no limit of a process counts.
    ...["--bind", spec.mounts.tmp, "/dev/shm"],
    ...covered.flatMap((path) => ["--tmpfs", path, "--remount-ro", path]),
    ...Object.entries(spec.files).flatMap(([inner, host]) => ["--ro-bind", host, toInner(inner)]),
    ...(spec.netDir === undefined ? [] : ["--ro-bind", spec.netDir, "/run/oxydra-net"]),
    // These two are memory as well.
    ...["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/shared"],
  ];
  const env = {
    ...spec.env,
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: "/tmp",
    LANG: "C.UTF-8",
    TERM: "dumb",
  };
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_]\w*$/.test(name) || value.includes("\0")) throw new RangeError("No environment can hold this");
    args.push("--setenv", name, value);
  }
  // They are read up to a NUL each: one inside would begin the next option.
  if (args.some((arg) => arg.includes("\0"))) throw new RangeError("A path holds a NUL");
  return args;
}

/** Text of the files of /etc that are ours: a walled process hears of no other user. */
export const ETC_FILES: Readonly<Record<Exclude<typeof BWRAP_FILES[number], "args" | "filter">, string>> = {
  passwd:
    `root:x:0:0:root:/:/usr/sbin/nologin\noxydra:x:${UID}:${UID}:oxydra:/tmp:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n`,
  group: `root:x:0:\noxydra:x:${UID}:\nnogroup:x:65534:\n`,
  hosts: "127.0.0.1 localhost oxydra\n::1 localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
};

/**
 * Starts bwrap; `$1` is the folder with `BWRAP_FILES`, `$2` how many control groups follow it; then the limits (file size and memory in
 * KiB, CPU seconds, open files), then processes and what is to run. Nothing of it is ever read as text of this script.
 * What the runner itself inherited is closed first: a descriptor is a way through every wall. The kernel takes memory from a walled process
 * before any other. The processes are counted per user namespace, so they are bounded inside of it; the dot in
 * `ready` says that all walls stand.
 */
export const BWRAP_SCRIPT = `
for fd in /proc/self/fd/*; do fd=\${fd##*/}; if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi; done
exec ${BWRAP_FILES.map((name, index) => `${index + 3}<"$1/${name}"`).join(" ")} 9>"$1/ready" 10>"$1/info" || exit 125
groups=$2; shift 2
while [ "$groups" -gt 0 ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; groups=$((groups-1)); done
echo 1000 >/proc/self/oom_score_adj
ulimit -c 0 -f "$1" -d "$2" -t "$3" -n "$4" || exit 125
shift 4
cd / && unset PWD OLDPWD SHLVL
exec bwrap --args 3 --info-fd 10 -- /bin/bash -pc 'ulimit -u "$0" || exit 125; printf . >&9; exec 9>&-; exec "$@"' "$@"
`;

function toInner(path: string): string {
  if (!/^(\/[\w.-]+)+$/.test(path) || path.includes("/..")) throw new RangeError("No inner path");
  return path;
}
