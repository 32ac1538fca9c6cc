import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";
import type { LogEntry, LogsRequest } from "#/runner/control_frames.ts";
import { followLogs } from "#/runner/follow_logs.ts";
import { readLogs } from "#/runner/read_logs.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { LogsOptions } from "#/cli/options.ts";
import { findUser } from "#/cli/status.ts";

/**
 * Prints the newest lines of a user's logs, and with `--follow` those that come, until it is interrupted. Read from the files, so that they are
 * there whether or not something runs, also when it hangs; the control socket answers the same question. Notes go to stderr. Throws AppError `usage`.
 */
export async function runLogs(options: LogsOptions): Promise<number> {
  const request = toRequest(options);
  const { user, folders } = await findUser(options);
  // Folders of another user are not read either.
  toOwnSocket(folders);
  const { answer, places } = readLogs(folders.logs, request, Date.now(), LIMITS.logShownBytesMax);
  for (const warning of answer.warnings) console.error(`oxydra: ${toPrintable(warning)}`);
  if (answer.truncated) {
    console.error(`oxydra: older lines are left out; --tail takes up to ${LIMITS.logTailMax}`);
  }
  if (answer.entries.length === 0 && !options.follow) console.error(`oxydra: no such line in ${folders.logs}`);
  const stopped = new AbortController();
  const isTaken = (entry: LogEntry) => print(options.format === "json" ? JSON.stringify(entry) : toText(entry));
  if (!answer.entries.every(isTaken) || !options.follow) return EXIT.done;
  console.error(`oxydra: following the logs of ${user.id}; Ctrl-C ends this`);
  const stop = () => stopped.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
  for await (const entry of followLogs(folders.logs, places, stopped.signal)) {
    if (!isTaken(entry)) break;
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  return EXIT.done;
}

/** The question that the flags mean. Pure. Throws AppError `usage`. */
export function toRequest({ role, stream, tail, since, format }: LogsOptions): LogsRequest {
  const lines = typeof tail === "string" ? Number(tail) : LIMITS.logTailDefault;
  if (typeof tail === "string" && !/^\d{1,9}$/.test(tail)) {
    throw new AppError("usage", `--tail ${toPrintable(tail)}: a number of lines, at most ${LIMITS.logTailMax}`);
  }
  return { role, stream, tail: lines, format, ...(since === undefined ? {} : { since }) };
}

/** A line as clients of the reference print it. Pure. */
export function toText({ timestamp, source, role, stream, message }: LogEntry): string {
  return `${timestamp ?? "-"} [${source}][${role}][${stream}] ${message}`;
}

/** False when nobody reads any more, as behind `| head`. */
function print(line: string): boolean {
  try {
    const bytes = new TextEncoder().encode(`${line}\n`);
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw new AppError("internal", "the lines cannot be written", { cause: error });
  }
}
