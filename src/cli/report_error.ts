import { AppError, toPublicError } from "#/core/error.ts";
import { toPrintable } from "#/lib/printable.ts";
import { toExitCode } from "#/cli/exit_code.ts";

/** Says on stderr why a command ended: our own sentence, or an id and the stack for a bug report. Returns the exit code. */
export function reportError(error: unknown): number {
  const id = crypto.randomUUID().slice(0, 8);
  const { code, message } = toPublicError(error, id);
  // The sentence may be a guest's own, or name a folder that a stranger named.
  console.error(`oxydra: ${toPrintable(message)}`);
  if (!(error instanceof AppError)) console.error(toPrintable(Deno.inspect(error)));
  return toExitCode(code);
}
