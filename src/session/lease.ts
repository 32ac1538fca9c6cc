import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { LeaseTerms, TurnPlace } from "#/session/turn_log.ts";

/** Looks at a foreign lease so many times while it would run out once. */
const LOOKS = 3;

/**
 * Keeps a session's lease until the signal fires. A renewal that fails is tried again: what is written without a lease is refused anyway. It
 * takes no lease: whoever lost it, while this process stood still, must not get it back and go on behind what another gateway did.
 */
export async function keepLease(
  log: Pick<EventLog, "renew">,
  { owner, ttlMs, delay }: LeaseTerms,
  session: string,
  signal: AbortSignal,
): Promise<void> {
  while (true) {
    await delay(ttlMs / LOOKS, signal);
    if (signal.aborted) return;
    await log.renew(session, owner, ttlMs).catch(() => false);
  }
}

/** Takes the lease of a session, if there are any. Throws AppError `session_taken` when it is another gateway's, `store_*`. */
export async function requireLease(
  log: Pick<EventLog, "claim">,
  lease: LeaseTerms | undefined,
  session: string,
): Promise<void> {
  if (lease === undefined || await log.claim(session, lease.owner, lease.ttlMs)) return;
  throw new AppError("session_taken", "Another gateway works on this session; try again when it is done");
}

/** For what is another gateway's to do, then. */
export function ignoreTaken(error: unknown): void {
  if (!(error instanceof AppError && error.code === "session_taken")) throw error;
}

/** Looks, once in the time that a lease lasts, which turns other gateways have left, and hands each to `resume`, until the signal fires. */
export async function watchLeft(
  sessions: { takeLeft(): Promise<readonly TurnPlace[]> },
  delay: LeaseTerms["delay"],
  resume: (place: TurnPlace) => void,
  signal: AbortSignal,
): Promise<void> {
  while (true) {
    await delay(LIMITS.leaseMs, signal);
    if (signal.aborted) return;
    // A store that cannot be read is looked at again.
    for (const place of await sessions.takeLeft().catch(() => [])) if (!signal.aborted) resume(place);
  }
}

/**
 * Waits until the session's lease is ours, and says whether it is: not when the signal fires first, or `isOver` says that there is nothing
 * left to wait for. Calls `onTaken` each time that it finds another owner. Throws AppError `store_*`.
 */
export async function awaitLease(
  log: Pick<EventLog, "claim">,
  { owner, ttlMs, delay }: LeaseTerms,
  session: string,
  { isOver, onTaken, signal }: {
    readonly isOver: () => Promise<boolean>;
    readonly onTaken: () => void;
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  while (!await log.claim(session, owner, ttlMs)) {
    onTaken();
    await delay(ttlMs / LOOKS, signal);
    if (signal.aborted || await isOver()) return false;
  }
  return true;
}
