import { LIMITS } from "#/core/limits.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { ShellHost } from "#/runner/shell_host.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import type { CallMemory } from "#/sandbox/call_memory.ts";

/** All that a runner has by session. What a call wrote and what the audit log says are no session's. */
export interface SessionParts {
  readonly calls: Pick<CallMemory, "forget">;
  readonly approvals: Pick<Approvals, "forget">;
  readonly shell: Pick<ShellHost, "kill"> | undefined;
  readonly browsers: Pick<Browsers, "end"> | undefined;
}

/**
 * Ends what a session has, in any of these parts; one that has nothing of it does nothing. Takes power away and gives none, so that a guest may
 * ask for it. Resolves when all is gone, or after `waitMs`, and what is slow ends all the same. Throws the first error, after all of them tried.
 */
export async function forgetSession(
  session: string,
  { calls, approvals, shell, browsers }: SessionParts,
  waitMs: number = LIMITS.sessionEndMs,
): Promise<void> {
  // Calls first: one that is about to open a shell or a browser finds that it was cancelled.
  const ends = [
    () => calls.forget(session),
    () => approvals.forget(session),
    () => shell?.kill(session),
    () => browsers?.end(session),
  ].map(async (end) => await end());
  const ended = await untilAborted(Promise.allSettled(ends), AbortSignal.timeout(waitMs));
  for (const end of ended ?? []) if (end.status === "rejected") throw end.reason;
}
