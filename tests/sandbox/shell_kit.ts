/** One shell on a tier without walls. */
import { SHELL_ARGV, ShellSession } from "#/sandbox/shell_session.ts";
import type { ShellResult } from "#/sandbox/shell.ts";
import { plainSpec, PlainTier } from "../fixture/plain_tier.ts";

/** Aborted never. */
export const QUIET = new AbortController().signal;

/** A shell and its commands. */
export interface Bench {
  readonly shell: ShellSession;
  readonly tier: PlainTier;
  readonly dir: string;
  run(
    command: string,
    options?: { timeoutMs?: number; onOutput?: (bytes: Uint8Array) => void; signal?: AbortSignal },
  ): Promise<ShellResult>;
}

/** Opens one in a folder of its own, and ends it. */
export async function withShell(check: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const tier = new PlainTier();
  const process = await tier.open(plainSpec(dir, SHELL_ARGV), QUIET);
  const shell = await ShellSession.open(process, QUIET);
  try {
    await check({
      shell,
      tier,
      dir,
      run: (command, { timeoutMs = 20_000, signal = QUIET, ...rest } = {}) =>
        shell.exec({ command, timeoutMs, ...rest }, signal),
    });
  } finally {
    await shell.kill("the test is over");
    await Deno.remove(dir, { recursive: true });
  }
}
