/** What a process is started with, and nothing besides. */
export interface SpawnPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Starts a process that talks over its stdio, with no environment but the plan's, in a process group of its own: the terminal's Ctrl-C is not
 * for it. Throws what Deno throws when it cannot be started.
 */
export function spawnPiped({ command, args, env }: SpawnPlan): Deno.ChildProcess {
  return new Deno.Command(command, {
    args: [...args],
    clearEnv: true,
    env: { ...env },
    detached: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
