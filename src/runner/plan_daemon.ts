import { join } from "#/lib/path.ts";
import type { SpawnPlan } from "#/lib/spawn_piped.ts";
import { configPath, type Program } from "#/runner/process_plan.ts";

/** What a process in the background writes beside the logs that the runner keeps: only what Deno itself says when it crashes. */
export const DAEMON_LOGS = { stdout: "daemon.stdout.log", stderr: "daemon.stderr.log" } as const;

/** How this program is called again: its Deno, and the arguments before those of a command. `mainUrl` is the file that it was started from. Pure. */
export function toOwnCommand(program: Program, mainUrl: string): readonly string[] {
  const modules = program.source === "file" ? ["--config", configPath(program)] : ["--no-config"];
  // What is young is collected sooner: 6 MB less of a process that waits for days (V8 would keep 16 MB for it).
  return [program.denoPath, "run", "-A", "--no-prompt", "--v8-flags=--max-semi-space-size=1", ...modules, mainUrl];
}

/**
 * A command of this program with its output appended to files in `logsDir`: the shell opens them and becomes it, so the process is the one that
 * was started. Pure.
 */
export function planDaemon(
  command: readonly string[],
  { logsDir, env }: { readonly logsDir: string; readonly env: Readonly<Record<string, string>> },
): SpawnPlan {
  const script = 'out=$1 err=$2; shift 2; exec "$@" >>"$out" 2>>"$err"';
  const files = [join(logsDir, DAEMON_LOGS.stdout), join(logsDir, DAEMON_LOGS.stderr)];
  return { command: "/bin/sh", args: ["-c", script, "oxydra", ...files, ...command], env };
}
