/** Where the lines of one role and stream are, in `logs/`; the lines before them in the file of this name with `.1` behind it. */
export interface LogName {
  readonly role: "runtime" | "sidecar";
  readonly stream: "stdout" | "stderr";
  readonly name: string;
}

/**
 * Every log of one user. The runtime is the guest with its runner, a sidecar what runs a shell or a browser for it. All but those of the daemon are
 * written by `openLogFile`, which keeps each with its `.1` within `logBytesMax`; those have the output of a process in the background,
 * which is silent unless it crashes, and turn the page at a start over `daemonLogBytesMax`.
 */
export const LOG_FILES: readonly LogName[] = [
  { role: "runtime", stream: "stderr", name: "runtime.log" },
  { role: "runtime", stream: "stdout", name: "daemon.stdout.log" },
  { role: "runtime", stream: "stderr", name: "daemon.stderr.log" },
  { role: "sidecar", stream: "stdout", name: "sidecar.stdout.log" },
  { role: "sidecar", stream: "stderr", name: "sidecar.log" },
];
