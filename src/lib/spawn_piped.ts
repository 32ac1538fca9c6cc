import { LIMITS } from "#/core/limits.ts";

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
export function spawnPiped(plan: SpawnPlan): Deno.ChildProcess {
  return spawn(plan, { detached: true, stdin: "piped", stdout: "piped", stderr: "piped" });
}

/** Starts a process with the plan's environment and no other. Throws what Deno throws when it cannot be started. */
export function spawn(
  { command, args, env }: SpawnPlan,
  stdio: Pick<Deno.CommandOptions, "detached" | "stdin" | "stdout" | "stderr">,
): Deno.ChildProcess {
  return new Deno.Command(command, {
    args: [...args],
    clearEnv: true,
    env: { ...env },
    ...stdio,
  }).spawn();
}

/** Hands on what a process says, a chunk at a time and at most `logLineCharsMax` of it, until it says no more. Never throws. */
export async function drain(stream: ReadableStream<Uint8Array>, onLog: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) onLog(decoder.decode(chunk).slice(0, LIMITS.logLineCharsMax));
  } catch {
    // It broke off with its process.
  }
}
