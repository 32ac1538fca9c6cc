import { z } from "zod";
import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import { planLogCopier } from "#/runner/plan_log_copier.ts";
import type { LogCopierInput } from "#/runner/plan_log_copier.ts";
import { toCount } from "#/cli/wording.ts";

const ANSWER_BYTES_MAX = 8_192;
const Count = z.number().int().nonnegative();

/** What was copied. */
export const LogCopied = z.strictObject({
  bytes: Count,
  schema: Count,
  sessions: Count,
  events: Count,
  /** Turns that ran when a restored backup was made. */
  turnsEnded: Count.exactOptional(),
  /** Where the log lies that a restore replaced. */
  replaced: z.string().max(4_096).exactOptional(),
});
export type LogCopied = z.infer<typeof LogCopied>;

const Answer = z.union([
  z.strictObject({ done: LogCopied }),
  z.strictObject({
    failed: z.strictObject({
      code: z.enum(["store_corrupt", "store_newer", "store_failed", "lock_held"]),
      message: z.string().max(2_000),
    }),
  }),
]);

/**
 * Runs the process that copies or restores an event log. What it says is read like a stranger's word. Throws AppError `store_corrupt`,
 * `store_newer`, `store_failed`, `lock_held`.
 */
export async function runLogCopy(input: LogCopierInput, timeoutMs: number = LIMITS.logCopyMs): Promise<LogCopied> {
  const child = spawn(planLogCopier(input), { stdin: "null", stdout: "piped", stderr: "null" });
  const stop = () => attempt(() => child.kill("SIGKILL"));
  const timer = setTimeout(stop, timeoutMs);
  let answer: z.infer<typeof Answer> | undefined;
  try {
    answer = Answer.parse(JSON.parse(await readBounded(child.stdout, ANSWER_BYTES_MAX)));
  } catch (cause) {
    stop();
    throw new AppError("store_failed", `the event log could not be copied: its process ended without an answer`, {
      cause,
    });
  } finally {
    await child.status;
    clearTimeout(timer);
  }
  if ("done" in answer) return answer.done;
  throw new AppError(answer.failed.code, answer.failed.message);
}

/** What a copy holds, in words. */
export function toCopiedText({ bytes, schema, sessions, events }: LogCopied): string {
  const size = bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
  return `${toCount(sessions, "session")}, ${
    toCount(events, "event")
  }, ${size}, schema ${schema}; every page was checked`;
}

/** A point in time as part of a file's name, in UTC and with milliseconds: two restores never want the same one. `at` in ms. */
export function toStamp(at: number): string {
  return new Date(at).toISOString().slice(0, 23).replaceAll(/[-:]/g, "").replace("T", "-");
}
