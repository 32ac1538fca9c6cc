import { AppError } from "#/core/error.ts";
import type { EventLog } from "#/core/store.ts";

/** Whose sessions are counted, and how many there may be. */
export interface RoomDeps {
  readonly log: Pick<EventLog, "listSessions" | "sessions">;
  readonly user: string;
  /** Sessions that may be in use at once (`[gateway] max_sessions_per_user`). */
  readonly sessionsMax: number;
  /** A session without activity for this long is not in use (`session_idle_ttl_hours`). */
  readonly sessionIdleMs: number;
  /** Integer ms UTC. */
  readonly now: () => number;
}

/**
 * Before a session is made: archives the idle ones, as the reference does; one that is written to comes back. Throws AppError
 * `quota_exceeded` when `sessionsMax` are still in use.
 */
export async function makeRoom({ log, user, sessionsMax, sessionIdleMs, now }: RoomDeps): Promise<void> {
  const store = await log.sessions();
  await store.archiveIdle(user, now() - sessionIdleMs);
  const rows = await log.listSessions(user, { includeArchived: false });
  if (rows.length < sessionsMax) return;
  const text = `${sessionsMax} sessions are in use; archive or delete one, or raise [gateway] max_sessions_per_user`;
  throw new AppError("quota_exceeded", text);
}
