import type { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Loaded } from "#/config/load.ts";
import type { UserFolders } from "#/config/user.ts";
import { join } from "#/lib/path.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import { toRemoteStore } from "#/memory/config.ts";
import { type LogQuestion, planLogReader } from "#/runner/plan_log_reader.ts";
import { readLines } from "#/cli/lines.ts";
import { openProgram } from "#/cli/place.ts";

const LINE_CHARS_MAX = 2_048;

/** A question, and what to throw when it has no answer: `failed` gets the reason. */
export interface LogQuery {
  readonly internalDir: string;
  readonly question: LogQuestion;
  readonly failed: (why: string) => AppError;
  /** Default `logReaderMs`. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Lines of an event log's answer, read by a process that may do nothing else, while a gateway lives or not; none when there is no log yet. They
 * are a guest's word.
 */
export async function* readLog(query: LogQuery): AsyncGenerator<string> {
  const { internalDir, question, failed, timeoutMs = LIMITS.logReaderMs } = query;
  if (!isThere(`${internalDir}/oxydra.db`)) return;
  // A link would open another folder to the process that reads.
  if (!Deno.lstatSync(internalDir).isDirectory) throw failed(`${internalDir} is no plain folder`);
  const program = await openProgram();
  const env = Deno.env.toObject();
  const plan = planLogReader({ program, env, internalDir: Deno.realPathSync(internalDir), question });
  const child = spawn(plan, { stdin: "null", stdout: "piped", stderr: "null" });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  try {
    yield* readLines(child.stdout, LINE_CHARS_MAX);
    if (!(await child.status).success) throw failed("the event log cannot be read");
  } finally {
    clearTimeout(timer);
  }
}

/** Where conversations are recorded: a path, or `remote store host:port`. */
export function toLogPlace({ config }: Loaded, { internal }: Pick<UserFolders, "internal">): string {
  return toRemoteStore(config.memory)?.address.name ?? join(internal, "oxydra.db");
}

/** Throws what `failed` makes of it when the event log is not a file here: a file that lies there from before would not be the truth. */
export function requireLocalLog({ config }: Loaded, failed: (why: string) => AppError): void {
  const store = toRemoteStore(config.memory);
  if (store !== undefined) throw failed(`the event log is in the ${store.address.name} (memory.remote_url)`);
}

/** True when something has this path, a link included. */
export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}
