import type { EventLog } from "#/core/store.ts";
import type { LeaseTerms } from "#/session/turn_log.ts";

/** Looks at a foreign lease so many times while it would run out once. */
const LOOKS = 3;

/** Keeps a session's lease until the signal fires. A renewal that fails is tried again: what is written without a lease is refused anyway. */
export async function keepLease(
  log: Pick<EventLog, "claim">,
  { owner, ttlMs, delay }: LeaseTerms,
  session: string,
  signal: AbortSignal,
): Promise<void> {
  while (true) {
    await delay(ttlMs / LOOKS, signal);
    if (signal.aborted) return;
    await log.claim(session, owner, ttlMs).catch(() => false);
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
