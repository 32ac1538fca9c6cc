import { attempt } from "#/core/error.ts";
import { concatBytes } from "#/lib/bytes.ts";
import type { SpawnPlan } from "#/lib/spawn_piped.ts";

/**
 * What a process that is started for one answer writes to its stdout: all of it, or what came before the signal fired, or what came until
 * it was more than `bytesMax`. Nothing of the process is left when this returns. Throws what Deno throws when it cannot be started.
 */
export async function askProcess(
  { command, args, env }: SpawnPlan,
  { input, bytesMax, signal }: {
    readonly input?: Uint8Array<ArrayBuffer>;
    readonly bytesMax: number;
    readonly signal: AbortSignal;
  },
): Promise<Uint8Array<ArrayBuffer>> {
  const process = new Deno.Command(command, {
    args: [...args],
    clearEnv: true,
    env: { ...env },
    detached: true,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const kill = () => endProcess(process);
  signal.addEventListener("abort", kill, { once: true });
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  try {
    if (signal.aborted) kill();
    // A process that ends before it has read everything says so with what it did not write.
    if (input !== undefined) void ReadableStream.from([input]).pipeTo(process.stdin).catch(() => {});
    let bytes = 0;
    for await (const chunk of process.stdout) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > bytesMax) break;
    }
    return concatBytes(chunks);
  } finally {
    kill();
    signal.removeEventListener("abort", kill);
    await process.status;
  }
}

/** Ends a process at once, or does nothing when it is gone. */
export function endProcess(process: Deno.ChildProcess): void {
  attempt(() => process.kill("SIGKILL"));
}
