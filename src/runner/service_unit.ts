import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** What a service is made of. */
export interface ServiceInput {
  /** Program and arguments; the program by its absolute path. */
  readonly command: readonly string[];
  /** Absolute: where `./.oxydra` is. */
  readonly folder: string;
  /** Whose workspace. */
  readonly user: string;
  /** Variables that are no secret. */
  readonly env: Readonly<Record<string, string>>;
  /** For the machine: started at boot, as this user and group of it. Absent: for the person's own login. */
  readonly system?: { readonly uid: number; readonly gid: number; readonly home: string };
}

/** Until it is killed, a service that stops has the time of its turns, what a runner takes after it, and a second of grace. */
const STOP_SECS = Math.ceil((LIMITS.drainMs + LIMITS.stopEndMs) / 1_000) + 1;

const EVERYWHERE =
  `# What follows takes away what the gateway never needs. Each line was chosen so that bubblewrap still works under it: its
# shells need user namespaces, a fresh /proc, sethostname and mounts inside them. So there is no RestrictNamespaces=,
# ProtectProc=, ProtectKernelTunables=, ProtectKernelLogs= (a /proc with covers cannot be mounted again), ProtectHostname=,
# PrivateUsers= and SystemCallFilter=; and no MemoryDenyWriteExecute=, since V8 makes machine code.
# no setuid program gives anything that runs here more rights than it has (a bubblewrap that is setuid needs this line gone)
NoNewPrivileges=yes
# nobody makes such a program, either
RestrictSUIDSGID=yes
# an execution domain other than Linux opens old holes of the kernel
LockPersonality=yes
# a real-time process can starve this machine
RestrictRealtime=yes
# sockets of the gateway, the network, and what bubblewrap sets its loopback up with; no raw packets, no Bluetooth
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# programs for another architecture bring another, less tried, table of system calls
SystemCallArchitectures=native
# what it writes is nobody else's
UMask=0077`;

const FOR_MACHINE = `# /usr, /boot and /etc are read-only for everything that runs here
ProtectSystem=full
# no files of others in /tmp, and none of ours for them
PrivateTmp=yes
# limits of other services stay what they are
ProtectControlGroups=yes
# no right of root's (modules, clock, mounts, raw disks); a process in a user namespace of its own has those there alone
CapabilityBoundingSet=
AmbientCapabilities=`;

/** A systemd unit (systemd.service(5), systemd.exec(5), systemd.kill(5)). Pure. Throws AppError `usage` for a path that cannot be written down. */
export function toSystemdUnit({ command, folder, user, env, system }: ServiceInput): string {
  // systemd refuses such a program by itself ("contains special characters"), but only when it is to start.
  if (/["'\\]/.test(command[0] ?? "")) {
    throw new AppError("usage", `${command[0]}: systemd starts no program with quotes in its path`);
  }
  const variables = Object.entries(system === undefined ? env : { HOME: system.home, ...env });
  const place = system === undefined ? "~/.config/systemd/user" : "/etc/systemd/system";
  const systemctl = system === undefined ? "systemctl --user" : "sudo systemctl";
  const name = toServiceName(user);
  return `# oxydra for ${checked(user)}. Save it as ${place}/${name}.service, then:
#   ${systemctl} daemon-reload && ${systemctl} enable --now ${name}
${system === undefined ? "#   loginctl enable-linger   (so that it also runs while you are not logged in)\n" : ""}\
# Keys belong in a file that only you can read, named by --env-file or kept in ~/.config/oxydra/.env, not in here.
[Unit]
Description=Oxydra agent gateway of ${toSpecifier(user)}
${system === undefined ? "" : "Wants=network-online.target\nAfter=network-online.target\n"}StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
${system === undefined ? "" : `User=${system.uid}\nGroup=${system.gid}\n`}WorkingDirectory=${toSpecifier(folder)}
${variables.map(([key, value]) => `Environment=${toQuoted(`${key}=${value}`)}\n`).join("")}\
# the colon: no $NAME in it is looked up
ExecStart=:${command.map(toQuoted).join(" ")}
# a guest that ended too often ends the gateway with 1, so that this can try again; what is wrong with a command line or a
# configuration (2) does not get better by that
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=2
# SIGTERM goes to the runner alone: it ends the guest, tools and shells in order, and what is left then is killed
KillMode=mixed
# turns at work have ${LIMITS.drainMs / 1_000} s to end, suspending the rest and closing takes up to ${
    LIMITS.stopEndMs / 1_000
  } s
TimeoutStopSec=${STOP_SECS}
${EVERYWHERE}
${system === undefined ? "" : `${FOR_MACHINE}\n`}
[Install]
WantedBy=${system === undefined ? "default" : "multi-user"}.target
`;
}

/** A launchd property list (launchd.plist(5)). Pure. Throws AppError `usage` for a path that cannot be written down. */
export function toLaunchdPlist({ command, folder, user, env, system }: ServiceInput): string {
  const label = toServiceName(user);
  const text = (value: string) => `<string>${toXml(checked(value))}</string>`;
  const file = system === undefined ? `~/Library/LaunchAgents/${label}.plist` : `/Library/LaunchDaemons/${label}.plist`;
  const load = system === undefined
    ? `launchctl bootstrap gui/$(id -u) ${file}`
    : `sudo launchctl bootstrap system ${file}`;
  const variables = Object.entries(system === undefined ? env : { HOME: system.home, ...env });
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${`Save it as ${file}, then: ${load}`.replaceAll("--", "- -")} -->
<plist version="1.0">
<dict>
  <key>Label</key>${text(label)}
  <key>ProgramArguments</key>
  <array>
${command.map((word) => `    ${text(word)}`).join("\n")}
  </array>
  <key>WorkingDirectory</key>${text(folder)}
${
    variables.length === 0 ? "" : `  <key>EnvironmentVariables</key>
  <dict>
${variables.map(([key, value]) => `    <key>${toXml(checked(key))}</key>${text(value)}`).join("\n")}
  </dict>
`
  }${system === undefined ? "" : `  <key>UserName</key>${text(`${system.uid}`)}\n`}  <key>RunAtLoad</key><true/>
  <!-- again after a failure, not after an orderly stop -->
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>10</integer>
  <!-- turns at work have ${LIMITS.drainMs / 1_000} s to end -->
  <key>ExitTimeOut</key><integer>${STOP_SECS}</integer>
  <key>ProcessType</key>${text("Background")}
  <!-- 0077 -->
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
`;
}

/** The name of a user's service. Pure. */
export function toServiceName(user: string): string {
  return user === "default" ? "oxydra" : `oxydra-${user.replace(/[^\w.-]/g, "_")}`;
}

/** A line break would begin a setting of its own. */
function checked(value: string): string {
  // deno-lint-ignore no-control-regex -- these are what neither format can hold
  if (!/[\x00-\x1f\x7f]/.test(value)) return value;
  throw new AppError("usage", "a path or variable with a line break or control character cannot be part of a service");
}

/** `%` begins a specifier in every setting (systemd.unit(5), "Specifiers"). */
function toSpecifier(value: string): string {
  return checked(value).replaceAll("%", "%%");
}

/** One word of a setting that is split into words (systemd.syntax(7), "Quoting"). */
function toQuoted(word: string): string {
  return `"${toSpecifier(word).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function toXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
