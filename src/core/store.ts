import type { EventType, NewEvent, StoredEvent } from "#/core/event.ts";
import type { SessionRow, SessionStore } from "#/core/session_store.ts";

export type { SessionRow };

/** Calls of one model on one day in one session. */
export interface UsageRow {
  /** In UTC, days since 1970. */
  readonly day: number;
  readonly session: string;
  readonly provider: string;
  readonly model: string;
  readonly calls: number;
  /** As the vendor counted them; what it did not count is missing. */
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** US dollars of the calls whose price is known. */
  readonly cost: number;
  readonly unpricedCalls: number;
  /** Calls whose cost our own count of tokens made. */
  readonly estimatedCalls: number;
  /** Calls that run, or were cut off before their result was recorded; `cost` has what was reserved for them. */
  readonly openCalls: number;
}

/** `full` survives a power cut (synchronous=FULL); `normal` survives a crash of any process. */
export type Durability = "normal" | "full";

/** How an append is done. */
export interface AppendOptions {
  readonly durability: Durability;
  /** Refused with AppError `session_taken` unless the session's lease is this owner's; the end of a turn gives it back. */
  readonly owner?: string;
  /** Takes or extends the owner's lease first, as `claim` does. */
  readonly claimMs?: number;
}

/** The event log: the only truth. Async and batched, so that a remote store fits; no driver type crosses this seam. */
export interface EventLog {
  /** Creates the session when it is not there; never changes one that is. */
  ensureSession(
    session: Pick<SessionRow, "id" | "user" | "agent" | "channel" | "displayName" | "parent">,
  ): Promise<SessionRow>;
  session(id: string): Promise<SessionRow | undefined>;
  listSessions(user: string, options: { readonly includeArchived: boolean }): Promise<readonly SessionRow[]>;
  /**
   * Records all or none, in order, and returns them with `seq` and `at`. Throws AppError `session_unknown` for a session
   * that was never ensured, `store_failed` when the disk says no, or, with `params.reason` `epoch`, for a summary whose epoch is not the one
   * behind the newest summary's (1 for the first): someone else wrote one meanwhile.
   */
  append(
    sessionId: string,
    turnId: string,
    events: readonly NewEvent[],
    options: AppendOptions,
  ): Promise<readonly StoredEvent[]>;
  /**
   * Takes or extends the lease of a session, by the store's clock; false while it is another owner's and has not run out. An owner is
   * `<node>:<start>`, and takes over at once what an earlier start of its node has: whoever starts on a node has its lock.
   */
  claim(sessionId: string, owner: string, ttlMs: number): Promise<boolean>;
  /** Extends the owner's lease, also one that ran out and that nobody has taken; false when it is not the owner's (any more). Takes none. */
  renew(sessionId: string, owner: string, ttlMs: number): Promise<boolean>;
  /** Gives the lease back; nothing happens when it is not this owner's. */
  release(sessionId: string, owner: string): Promise<void>;
  /** Events of a session with `seq >= fromSeq`, ascending; kinds this version does not know are skipped. */
  read(
    sessionId: string,
    options: { readonly fromSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]>;
  /** Events of a session with `seq < beforeSeq`, the newest first, as `read` otherwise. */
  readBack(
    sessionId: string,
    options: { readonly beforeSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]>;
  /** The summary with the highest epoch, if the session has one. */
  lastSummary(sessionId: string): Promise<Extract<StoredEvent, { type: "summary" }> | undefined>;
  /** All events of one turn, ascending; empty when there is no such turn. */
  turn(sessionId: string, turnId: string): Promise<readonly StoredEvent[]>;
  /** Turns that neither ended nor wait for a person, oldest first. */
  openTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]>;
  /** Those of them that no gateway has a lease for, at most `limit`. */
  leftTurns(limit: number): Promise<readonly { readonly session: string; readonly turn: string }[]>;
  /** Turns whose last event is `parked`, oldest first. */
  parkedTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]>;
  /** What models were used for since `at` (integer ms UTC), the newest first. */
  usage(at: number): Promise<readonly UsageRow[]>;
  /** What is done to sessions as a whole; its code is loaded when it is first asked for. */
  sessions(): Promise<SessionStore>;
  /** Content of a blob, or undefined. */
  blob(sha256: string): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}
