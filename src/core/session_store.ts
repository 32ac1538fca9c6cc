import type { StoredEvent } from "#/core/event.ts";

/** A session as the log knows it. Times are integer ms UTC. */
export interface SessionRow {
  readonly id: string;
  readonly user: string;
  readonly agent: string;
  readonly displayName: string | null;
  readonly channel: string;
  readonly parent: string | null;
  readonly createdAt: number;
  readonly lastActiveAt: number;
  readonly archived: boolean;
}

/** What a person may change of a session. */
export interface SessionChange {
  /** Null takes the name away. */
  readonly displayName?: string | null;
  readonly archived?: boolean;
}

/** A session as lists show it. */
export interface SessionOverview extends SessionRow {
  /** Place of its newest event; 0 for none. */
  readonly lastSeq: number;
  readonly turns: number;
  /** How the message of its newest turn begins, at most `sessionTextCharsMax`; null without one. */
  readonly lastText: string | null;
}

/** Where a list goes on: the last session that was shown. */
export interface SessionCursor {
  readonly lastActiveAt: number;
  readonly id: string;
}

/** Which sessions of a user. */
export interface SessionQuery {
  readonly includeArchived: boolean;
  /** Only those that this channel began. */
  readonly channel?: string;
  /** Only those whose id begins like this. */
  readonly prefix?: string;
  readonly after?: SessionCursor;
  readonly limit: number;
}

/** What was deleted. */
export interface Forgotten {
  readonly events: number;
  /** Those that no other session uses. */
  readonly blobs: number;
  /** Of events and blobs. */
  readonly bytes: number;
}

/** A session that begins as another one was. */
export interface NewBranch {
  readonly id: string;
  readonly displayName: string | null;
  /** Absent means that of the session that it is taken from. */
  readonly agent?: string;
  readonly channel: string;
}

/** Which events, by their places. */
export interface PageQuery {
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly limit: number;
}

/** Events in their order, and the last place that was looked at: a kind that this version does not know is left out. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  readonly toSeq: number;
}

/** Whose an imported session becomes. */
export interface ImportTarget {
  readonly user: string;
  readonly channel: string;
  /** Told of the session's id before it is anybody's; what it throws ends the import. */
  readonly onId?: (id: string) => Promise<void>;
}

/**
 * What is done to sessions as a whole. Every method throws AppError `session_unknown` for one that is not there, and `store_*` when the disk
 * says no; each happens whole or not at all.
 */
export interface SessionStore {
  /** The last active first. */
  list(user: string, query: SessionQuery): Promise<readonly SessionOverview[]>;
  overview(id: string): Promise<SessionOverview>;
  update(id: string, change: SessionChange): Promise<SessionRow>;
  /** Archives the sessions of a user that were last active before (integer ms UTC) and have no turn that runs or waits; returns their ids. */
  archiveIdle(user: string, before: number): Promise<readonly string[]>;
  /**
   * Deletes what a session holds, its name too, and gives the room back; blobs that another session uses stay. What is left is an
   * archived session with one event that says how much it was. Nothing may run in it meanwhile.
   */
  forget(id: string): Promise<Forgotten>;
  /**
   * A new session with the events of another one up to `at` (its newest when undefined), under the same places and turn ids. A turn that had not
   * ended by then has in the branch. Throws AppError `usage` for a place that the other session does not have.
   */
  branch(from: string, at: number | undefined, branch: NewBranch): Promise<SessionRow>;
  /** As `EventLog.read`, but never more at once than `eventsPageBytesMax` of payloads, unless one alone is larger. */
  readPage(id: string, query: PageQuery): Promise<EventPage>;
  /** Lines of JSON, each with its newline: what the session held when this was called. One event or blob at a time is in memory. */
  exportLines(id: string): AsyncIterable<string>;
  /**
   * Makes a session of what `exportLines` wrote. Its id is kept when nobody has it. Throws AppError `usage` with the line for a file that is not
   * whole, not unchanged, not ours or too large; nothing of it stays.
   */
  importLines(
    bytes: AsyncIterable<Uint8Array>,
    into: ImportTarget,
  ): Promise<SessionRow>;
}
