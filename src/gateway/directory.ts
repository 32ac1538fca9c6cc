import { AppError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog, SessionRow } from "#/core/store.ts";
import { makeRoom, type RoomDeps } from "#/gateway/room.ts";
import type { WireSessionSummary } from "#/gateway/server_frame.ts";
import type { Caller } from "#/gateway/token.ts";

/** The channel name of every WebSocket client, as the reference writes it into a session. */
export const CHANNEL = "tui";

/** What a directory needs. */
export interface DirectoryDeps extends RoomDeps {
  readonly log: RoomDeps["log"] & Pick<EventLog, "ensureSession" | "session">;
  /** Who asks; the owner when absent. */
  readonly caller?: Caller;
}

/** The channel of the sessions that a token of scope `channel` begins, and the only one whose sessions it may use. */
export function toTokenChannel(caller: Caller): string {
  return `api:${caller.id}`;
}

/** True when the caller may see a session of `user`'s: a channel's token sees those that it began, nobody sees another user's. Pure. */
export function isVisibleTo(
  caller: Caller | undefined,
  row: Pick<SessionRow, "user" | "channel">,
  user: string,
): boolean {
  return row.user === user && (caller?.scope !== "channel" || row.channel === toTokenChannel(caller));
}

const DEFAULT_AGENT = "default";
/** What a client may name a session that is not there yet: it ends up in listings and file names. */
const NEW_SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The sessions of one user that the caller may see, read from the log and kept nowhere else. Every method throws AppError `store_failed` when the log does. */
export class Directory {
  readonly #deps: DirectoryDeps;

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
  }

  /** The session a client means when it names none. */
  get defaultId(): string {
    const { caller, user } = this.#deps;
    return caller?.scope === "channel" ? `api-${caller.id}` : `runtime-${user}`;
  }

  /** Where messages of this caller come from. */
  get channel(): string {
    const { caller } = this.#deps;
    return caller?.scope === "channel" ? toTokenChannel(caller) : CHANNEL;
  }

  /**
   * The session a hello asks for. With `mayName`, an unknown well-formed id is created under that name; without, as in the reference,
   * it is AppError `session_unknown`. Another user's session is unknown as well: its existence is nobody's business. A reader makes none.
   */
  async resolve(id: string | undefined, mayName: boolean): Promise<SessionRow> {
    if (this.#deps.caller?.scope === "read") {
      const asked = id ?? this.defaultId;
      return this.#own(await this.#deps.log.session(asked), asked);
    }
    if (id === undefined || id === this.defaultId) return await this.#ensure(this.defaultId, null, DEFAULT_AGENT);
    const row = await this.#deps.log.session(id);
    if (row === undefined && mayName && this.#mayName(id)) {
      await makeRoom(this.#deps);
      return await this.#ensure(id, null, DEFAULT_AGENT);
    }
    return this.#own(row, id);
  }

  /** A new session under a UUIDv7. Throws AppError `quota_exceeded` when `sessionsMax` are in use. */
  async create(displayName: string | null, agent: string | null): Promise<SessionRow> {
    await makeRoom(this.#deps);
    return await this.#ensure(uuidv7(this.#deps.now()), displayName, agent ?? DEFAULT_AGENT);
  }

  /** A session by its id or by the only prefix it matches, as short ids of containers. Throws AppError `session_unknown`. */
  async find(prefix: string): Promise<SessionRow> {
    const exact = await this.#deps.log.session(prefix);
    if (exact !== undefined || prefix === "") return this.#own(exact, prefix);
    const rows = await this.#deps.log.listSessions(this.#deps.user, { includeArchived: false });
    const matches = rows.filter((row) => row.id.startsWith(prefix) && this.#isTheirs(row));
    if (matches.length > 1) {
      throw new AppError("session_unknown", `${matches.length} sessions begin with ${quote(prefix)}; write more of it`);
    }
    return this.#own(matches[0], prefix);
  }

  /** Summaries, the last active first. */
  async list(options: { includeArchived: boolean; includeSubagents: boolean }): Promise<WireSessionSummary[]> {
    const rows = await this.#deps.log.listSessions(this.#deps.user, { includeArchived: options.includeArchived });
    // A branch has a parent as well, and is a session of its own.
    const isShown = (row: SessionRow) => options.includeSubagents || row.parent === null || row.channel !== "subagent";
    return rows.filter((row) => isShown(row) && this.#isTheirs(row))
      .toSorted((left, right) => right.lastActiveAt - left.lastActiveAt)
      .map(toSummary);
  }

  async #ensure(id: string, displayName: string | null, agent: string): Promise<SessionRow> {
    const { log, user } = this.#deps;
    const row = await log.ensureSession({ id, user, agent, channel: this.channel, displayName, parent: null });
    return this.#own(row, id);
  }

  /** A name that a channel chose freely could be one that the person is about to use: the channel would read what they write there. */
  #mayName(id: string): boolean {
    const isFree = this.#deps.caller?.scope !== "channel" || id.startsWith(`${this.defaultId}-`);
    return isFree && NEW_SESSION_ID.test(id);
  }

  #isTheirs(row: SessionRow): boolean {
    const { caller, user } = this.#deps;
    return isVisibleTo(caller, row, user);
  }

  #own(row: SessionRow | undefined, asked: string): SessionRow {
    if (row !== undefined && this.#isTheirs(row)) return row;
    throw new AppError("session_unknown", `user ${quote(this.#deps.user)} has no session ${quote(asked)}`);
  }
}

function toSummary(row: SessionRow): WireSessionSummary {
  return {
    session_id: row.id,
    agent_name: row.agent,
    display_name: row.displayName ?? undefined,
    channel_origin: row.channel,
    created_at: new Date(row.createdAt).toISOString(),
    last_active_at: new Date(row.lastActiveAt).toISOString(),
    archived: row.archived,
  };
}

function quote(text: string): string {
  return `\`${text.slice(0, LIMITS.quotedCharsMax)}\``;
}
