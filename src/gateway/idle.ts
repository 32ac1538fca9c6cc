import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import type { After } from "#/gateway/connection.ts";

/** What letting go of idle sessions needs. */
export interface IdleDeps {
  readonly log: Pick<EventLog, "sessions">;
  readonly user: string;
  /** A session without activity for this long is idle (`session_idle_ttl_hours`). */
  readonly sessionIdleMs: number;
  /** Integer ms UTC. */
  readonly now: () => number;
  readonly after: After;
  /** What memory holds of a session may go: what is needed again is in the log. */
  readonly letGo: (session: string) => void;
  readonly report: (error: unknown, id: string) => void;
}

/**
 * Archives idle sessions every `idleSweepMs`, as the reference does, and lets go of what memory holds of them; one that is written to comes
 * back. Returns what ends it. A store that says no is asked again the next time.
 */
export function sweepIdle(deps: IdleDeps): () => void {
  const { after, now, report } = deps;
  let isOver = false;
  let cancel = () => {};
  const sweep = async () => {
    try {
      const store = await deps.log.sessions();
      for (const session of await store.archiveIdle(deps.user, now() - deps.sessionIdleMs)) deps.letGo(session);
    } catch (error) {
      report(error, crypto.randomUUID());
    }
    if (!isOver) cancel = after(LIMITS.idleSweepMs, () => void sweep());
  };
  cancel = after(LIMITS.idleSweepMs, () => void sweep());
  return () => {
    isOver = true;
    cancel();
  };
}
