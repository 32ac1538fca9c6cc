import { attempt } from "#/core/error.ts";
import type { TierStatus } from "#/sandbox/tier.ts";
import { readText } from "#/sandbox/tier_tree.ts";

/** How a bubblewrap on this host behaved when it was tried. */
export interface BwrapTrial {
  /** What `bwrap --version` said; undefined when it could not be started. */
  readonly version: string | undefined;
  /** Why the walls did not stand; undefined when they did. */
  readonly failure: string | undefined;
  /** What holds less than it should, a sentence each. */
  readonly notes: readonly string[];
}

const INSTALL: readonly (readonly [ids: RegExp, command: string])[] = [
  [/\b(debian|ubuntu)\b/, "sudo apt-get install bubblewrap"],
  [/\b(fedora|rhel|centos)\b/, "sudo dnf install bubblewrap"],
  [/\b(arch)\b/, "sudo pacman -S bubblewrap"],
  [/\b(alpine)\b/, "sudo apk add bubblewrap bash setpriv"],
  [/\b(suse|opensuse)\b/, "sudo zypper install bubblewrap"],
];
const UBUNTU_PROFILE =
  "sudo apt-get install apparmor-profiles && sudo cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && " +
  "sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict";

/** What a trial means: whether the driver can be used, and if not, why in words and what to do. Reads a few files below `root`. */
export function toStatus({ version, failure, notes }: BwrapTrial, root = ""): TierStatus {
  const about = version === undefined ? "bubblewrap" : `bubblewrap ${version}`;
  if (failure === undefined) return { available: true, about, notes };
  const [reason, install] = version === undefined ? explainMissing(root) : explain(version, failure, root);
  return { available: false, about, reason, ...(install === undefined ? {} : { install }), notes };
}

/** Whether a version, e.g. `0.8.0`, is at least `major.minor`. */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split(".").map(Number);
  return foundMajor > major || foundMajor === major && foundMinor >= minor;
}

type Explanation = readonly [reason: string, install?: string];

const FIRST_WSL: Explanation = ["WSL 1 has no namespaces", "wsl --set-version <distribution> 2"];

function explainMissing(root: string): Explanation {
  if (isFirstWsl(root)) return FIRST_WSL;
  const ids = /^ID(?:_LIKE)?=.*$/gm;
  const system = (readText(`${root}/etc/os-release`).match(ids) ?? []).join(" ");
  const command = INSTALL.find(([pattern]) => pattern.test(system))?.[1];
  return ["bubblewrap is not installed", command ?? "install the package bubblewrap"];
}

function explain(version: string, failure: string, root: string): Explanation {
  const setting = (name: string) => readText(`${root}/proc/sys/${name}`).trim();
  if (isFirstWsl(root)) return FIRST_WSL;
  if (!isAtLeast(version, 0, 5)) {
    return [`bubblewrap ${version} is too old, 0.5 is needed`, "install a newer bubblewrap"];
  }
  if (setting("user/max_user_namespaces") === "0") {
    return [
      "user namespaces are switched off (user.max_user_namespaces = 0)",
      "sudo sysctl -w user.max_user_namespaces=15000",
    ];
  }
  if (setting("kernel/unprivileged_userns_clone") === "0") {
    return [
      "unprivileged user namespaces are switched off (kernel.unprivileged_userns_clone = 0)",
      "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    ];
  }
  const isDenied = /permission|not permitted|no permissions/i.test(failure);
  if (isDenied && setting("kernel/apparmor_restrict_unprivileged_userns") === "1") {
    return [
      "AppArmor lets only programs with a profile make user namespaces, as Ubuntu 23.10 and later do, and bwrap has none " +
      "(kernel.apparmor_restrict_unprivileged_userns = 1). Give it Ubuntu's own profile; the restriction itself can stay",
      UBUNTU_PROFILE,
    ];
  }
  if (/seccomp/i.test(failure) || !/^Seccomp:/m.test(readText(`${root}/proc/self/status`))) {
    return ["this kernel was built without seccomp filters (CONFIG_SECCOMP_FILTER)"];
  }
  if (isDenied && isContainer(root)) {
    return [
      `this runs in a container that may not make namespaces of its own: ${failure}`,
      "start the container with a seccomp profile that allows them, or run Oxydra on the host",
    ];
  }
  return [failure];
}

function isFirstWsl(root: string): boolean {
  const release = readText(`${root}/proc/sys/kernel/osrelease`);
  return /microsoft/i.test(release) && !/wsl2|microsoft-standard/i.test(release);
}

function isContainer(root: string): boolean {
  return ["/.dockerenv", "/run/.containerenv"].some((path) => attempt(() => Deno.lstatSync(`${root}${path}`))) ||
    /^container=/m.test(readText(`${root}/proc/1/environ`).replaceAll("\0", "\n"));
}
