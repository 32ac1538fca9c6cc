import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { dirname, join } from "#/lib/path.ts";
import type { TierDriver, TierStatus, WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { TierWatch } from "#/sandbox/tier_watch.ts";
import type { TierOptions } from "#/sandbox/tiers.ts";

const SANDBOX_EXEC = "/usr/bin/sandbox-exec";
const PATH = "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const NOTES: readonly string[] = [
  "Seatbelt is written after Apple's own profiles and was never tried by our tests: they run on Linux.",
  "macOS bounds neither memory nor what a shell may see of other processes' names.",
  "A process that leaves its process group outlives its shell, behind the same walls.",
];

/** What may be read of the system: programs, libraries and what they need; no home, no /Users, no /Library/Keychains. */
const READABLE = "/usr /bin /sbin /System /opt/homebrew /Library/Developer /Library/Apple/usr /private/etc/ssl".split(
  " ",
);
const READABLE_FILES =
  ("/ /etc /tmp /var /dev /private /private/etc/localtime /private/etc/protocols /private/etc/services /private/var/select/sh " +
    "/private/var/db/timezone /dev/null /dev/zero /dev/random /dev/urandom /dev/tty").split(" ");

/**
 * The Seatbelt profile of one walled process, in Apple's sandbox profile language: everything is denied but what is named; the last rule that
 * fits counts. `mounts`, `files` and `netDir` are real host paths: macOS has no mounts of one's own. Pure. Throws RangeError for a path that
 * cannot be written in it.
 */
export function toProfile({ mounts, files, netDir }: Pick<WalledSpec, "mounts" | "files" | "netDir">): string {
  const roots = [mounts.shared, mounts.tmp];
  const named = [...Object.values(files), ...(netDir === undefined ? [] : [netDir])];
  const list = (kind: string, paths: readonly string[]) => paths.map((path) => `(${kind} ${quote(path)})`).join(" ");
  const above = new Set([...roots, ...named].flatMap(foldersAbove));
  return [
    "(version 1)",
    "(deny default)",
    "(allow process-fork process-exec)",
    "(allow signal process-info* (target same-sandbox))",
    "(allow sysctl-read)",
    "(allow ipc-posix-sem)",
    '(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))',
    `(allow file-read* ${list("subpath", READABLE)} ${list("literal", READABLE_FILES)})`,
    `(allow file-read-metadata ${list("literal", [...above])})`,
    '(allow file-write-data file-ioctl (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))',
    ...(named.length === 0 ? [] : [`(allow file-read* ${list("subpath", named)})`]),
    `(allow file-read* file-write* ${list("subpath", roots)})`,
    // Names are folded on most of its disks.
    ...roots.map((path) =>
      `(deny file-read* file-write* (regex ${quote(`^${escape(path)}/(.*/)?\\.[oO][xX][yY][dD][rR][aA](/|$)`)}))`
    ),
    ...(netDir === undefined
      ? []
      : [`(allow network-outbound (remote unix-socket (path-literal ${quote(join(netDir, "proxy.sock"))})))`]),
  ].join("\n");
}

/** Puts a process behind the walls of macOS. What is called /shared, /tmp and /run inside elsewhere has its host's path here. */
export class SeatbeltTier implements TierDriver {
  readonly name = "seatbelt";
  readonly #options: TierOptions;
  readonly #command: string;
  readonly #watch = new TierWatch();

  constructor(options: TierOptions, command: string = SANDBOX_EXEC) {
    this.#options = options;
    this.#command = command;
  }

  async probe(): Promise<TierStatus> {
    const { dir } = this.#options;
    const profile = toProfile({ mounts: { shared: dir, tmp: dir }, files: {} });
    const status = { about: "Seatbelt", notes: NOTES };
    try {
      const args = ["-p", profile, "/bin/bash", "-c", "! ls /Users"];
      const { success } = await new Deno.Command(this.#command, { args, stdin: "null", stdout: "null", stderr: "null" })
        .output();
      return success
        ? { ...status, available: true }
        : { ...status, available: false, reason: "sandbox-exec did not wall a process in" };
    } catch {
      return { ...status, available: false, reason: "there is no sandbox-exec here: it comes with macOS" };
    }
  }

  async open(spec: WalledSpec, signal: AbortSignal): Promise<WalledProcess> {
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const { mounts, limits } = spec;
    const inner: Readonly<Record<string, string>> = {
      ...spec.files,
      "/shared": mounts.shared,
      "/tmp": mounts.tmp,
      ...(spec.netDir === undefined ? {} : { "/run/oxydra-net": spec.netDir }),
    };
    const numbers = [
      Math.ceil(limits.fileBytesMax / 1_024),
      limits.cpuSecondsMax,
      LIMITS.wallOpenFilesMax,
      limits.processesMax,
    ];
    const script = 'ulimit -c 0 -f "$0" -t "$1" -n "$2" -u "$3" || exit 125; shift 3; exec "$@"';
    try {
      const child = new Deno.Command(this.#command, {
        args: [
          "-p",
          toProfile(spec),
          "/bin/bash",
          "-c",
          script,
          ...numbers.map(String),
          ...spec.argv.map((arg) => inner[arg] ?? arg),
        ],
        cwd: mounts.shared,
        clearEnv: true,
        env: { ...spec.env, PATH, HOME: mounts.tmp, TMPDIR: mounts.tmp, LANG: "C.UTF-8", TERM: "dumb" },
        detached: true,
        ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
      }).spawn();
      return await Promise.resolve(new WalledSeatbelt(child, spec, this.#watch));
    } catch (error) {
      throw new AppError("tier_unavailable", "sandbox-exec did not start", { cause: error });
    }
  }

  /** Nothing lies anywhere. */
  sweep(_user: string): Promise<number> {
    return Promise.resolve(0);
  }
}

class WalledSeatbelt implements WalledProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exited: Promise<WalledEnd>;
  readonly #pid: number;
  #reason: string | undefined;

  constructor(child: Deno.ChildProcess, { mounts, limits }: WalledSpec, watch: TierWatch) {
    [this.stdin, this.stdout, this.stderr, this.#pid] = [child.stdin, child.stdout, child.stderr, child.pid];
    const unwatch = watch.add({ mounts, limits }, (reason) => {
      this.#reason = reason;
      void this.kill();
    });
    this.exited = this.#wait(child).finally(unwatch);
  }

  async kill(): Promise<void> {
    signalGroup(this.#pid);
    await this.exited;
  }

  async #wait(child: Deno.ChildProcess): Promise<WalledEnd> {
    const { code } = await child.status;
    // What it left in its group.
    while (signalGroup(this.#pid)) await delay(LIMITS.wallGoneMs, new AbortController().signal);
    return { code, ...(this.#reason === undefined ? {} : { reason: this.#reason }) };
  }
}

/** False when nobody is left in it. */
function signalGroup(pid: number): boolean {
  return attempt(() => (Deno.kill(-pid, "SIGKILL"), true)) ?? false;
}

function foldersAbove(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersAbove(above)];
}

function escape(path: string): string {
  return path.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** A string of the profile language. */
function quote(text: string): string {
  if (/[\p{Cc}"]/u.test(text) || !text.isWellFormed()) throw new RangeError("This path cannot be written in a profile");
  return `"${text.replaceAll("\\", "\\\\")}"`;
}
