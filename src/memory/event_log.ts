import { AppError } from "#/core/error.ts";
import type { EventType, NewEvent, StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionStore } from "#/core/session_store.ts";
import type { AppendOptions, EventLog, SessionRow, UsageRow } from "#/core/store.ts";
import { planAppend } from "#/memory/append_plan.ts";
import { toSessionRow, toStoredEvent, toUsageRow } from "#/memory/event_row.ts";
import type { SqlDriver, SqlRow, SqlStatement, SqlValue, TransactionOptions } from "#/memory/sql.ts";
import * as SQL from "#/memory/event_sql.ts";
import { corruptStore } from "#/memory/store_error.ts";
import { knownKinds } from "#/memory/upcast.ts";
import { readUsage } from "#/memory/usage.ts";

/** What the log stands on. */
export interface SqlEventLogDeps {
  readonly driver: SqlDriver;
  /** Integer ms UTC. It may go backwards: `seq` is the order, `at` is what the clock said. */
  now(): number;
  /** What messages call the store: a file's name, never a path. */
  readonly name: string;
  /** A new name for each append, where the store keeps receipts (src/memory/remote.ts). */
  receipt?(): string;
  /** Called when the driver is closed. */
  closed(): void;
}

/** The event log over any driver that speaks SQLite's SQL. Ids that hold a NUL, a lone surrogate, nothing or too much: RangeError. */
export class SqlEventLog implements EventLog {
  readonly #deps: SqlEventLogDeps;
  #sessions: Promise<SessionStore> | undefined;

  constructor(deps: SqlEventLogDeps) {
    this.#deps = deps;
  }

  async ensureSession(
    session: Pick<SessionRow, "id" | "user" | "agent" | "channel" | "displayName" | "parent">,
  ): Promise<SessionRow> {
    requireId(session.id);
    const at = this.#now();
    const values = [session.id, session.user, session.agent, session.displayName, session.channel, session.parent, at];
    const [, rows] = await this.#deps.driver.transaction(
      [{ sql: SQL.INSERT_SESSION, values }, { sql: SQL.SESSION, values: [session.id] }],
      { durability: "normal" },
    );
    return toSessionRow(rows?.[0] ?? {}, this.#deps.name);
  }

  async session(id: string): Promise<SessionRow | undefined> {
    const [row] = await this.#deps.driver.all({ sql: SQL.SESSION, values: [id] });
    return row === undefined ? undefined : toSessionRow(row, this.#deps.name);
  }

  async listSessions(user: string, options: { readonly includeArchived: boolean }): Promise<readonly SessionRow[]> {
    const values = [user, options.includeArchived ? 1 : 0, LIMITS.sessionsListedMax];
    const rows = await this.#deps.driver.all({ sql: SQL.SESSIONS, values });
    return rows.map((row) => toSessionRow(row, this.#deps.name));
  }

  async append(
    sessionId: string,
    turnId: string,
    events: readonly NewEvent[],
    options: AppendOptions,
  ): Promise<readonly StoredEvent[]> {
    requireId(sessionId);
    requireId(turnId);
    if (events.length > LIMITS.eventsPerAppendMax) throw new RangeError(`${events.length} events in one append`);
    if (events.length === 0) return [];
    const at = this.#now();
    const { owner, claimMs } = options;
    const receipt = this.#deps.receipt?.();
    const place = { session: sessionId, turn: turnId, at, owner, claimMs, receipt };
    const plan = planAppend(place, events, this.#deps.name);
    const landed = receipt === undefined ? {} : { landed: { sql: SQL.RECEIPT, values: [receipt] } };
    const hasSummary = events.some(({ type }) => type === "summary");
    const results = await this.#transact(sessionId, plan.statements, { ...options, ...landed, hasSummary });
    // A receipt answers in the place of the first statement.
    const last = results[0]?.[0]?.["last_seq"] ?? results[plan.seqAt]?.[0]?.["last_seq"];
    if (typeof last !== "number" || last < events.length) throw corruptStore(this.#deps.name, "it numbers no events");
    const first = last - events.length + 1;
    return plan.events.map((event, index) => ({ ...event, seq: first + index } as StoredEvent));
  }

  async claim(sessionId: string, owner: string, ttlMs: number): Promise<boolean> {
    requireId(sessionId);
    requireId(owner);
    return (await this.#write(SQL.CLAIM, [sessionId, owner, ttlMs / 1_000])).length > 0;
  }

  async renew(sessionId: string, owner: string, ttlMs: number): Promise<boolean> {
    return (await this.#write(SQL.RENEW, [sessionId, owner, ttlMs / 1_000])).length > 0;
  }

  async release(sessionId: string, owner: string): Promise<void> {
    await this.#write(SQL.RELEASE, [sessionId, owner]);
  }

  /** Never with `all`: a libSQL server refuses a write in what is only to read. */
  async #write(sql: string, values: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    const [rows] = await this.#deps.driver.transaction([{ sql, values }], { durability: "normal" });
    return rows!;
  }

  async read(
    sessionId: string,
    options: { readonly fromSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]> {
    requireCount(options.fromSeq, 0, Number.MAX_SAFE_INTEGER);
    requireCount(options.limit, 1, LIMITS.eventsPerReadMax);
    const kinds = JSON.stringify(knownKinds(options.types));
    const events: StoredEvent[] = [];
    for (let page = options.limit; events.length < options.limit;) {
      const asked = Math.min(page, options.limit - events.length);
      const fromSeq = events.length === 0 ? options.fromSeq : events.at(-1)!.seq + 1;
      try {
        const rows = await this.#deps.driver.all({ sql: SQL.EVENTS, values: [sessionId, fromSeq, asked, kinds] });
        for (const row of rows.slice(0, asked)) events.push(toStoredEvent(row, this.#deps.name));
        if (rows.length < asked) break;
      } catch (error) {
        // A server sends answers of a bounded size: the window then comes in pieces.
        if (!(error instanceof AppError) || error.params["reason"] !== "too_large" || asked === 1) throw error;
        page = Math.ceil(asked / 4);
      }
    }
    return events;
  }

  async readBack(
    sessionId: string,
    options: { readonly beforeSeq: number; readonly limit: number; readonly types?: readonly EventType[] },
  ): Promise<readonly StoredEvent[]> {
    requireCount(options.beforeSeq, 0, Number.MAX_SAFE_INTEGER);
    requireCount(options.limit, 1, LIMITS.eventsPerReadMax);
    const kinds = JSON.stringify(knownKinds(options.types));
    const values = [sessionId, options.beforeSeq, options.limit, kinds];
    const rows = await this.#deps.driver.all({ sql: SQL.EVENTS_BACK, values });
    return rows.map((row) => toStoredEvent(row, this.#deps.name));
  }

  async lastSummary(sessionId: string): Promise<Extract<StoredEvent, { type: "summary" }> | undefined> {
    const [row] = await this.#deps.driver.all({ sql: SQL.LAST_SUMMARY, values: [sessionId] });
    const event = row === undefined ? undefined : toStoredEvent(row, this.#deps.name);
    return event?.type === "summary" ? event : undefined;
  }

  async turn(sessionId: string, turnId: string): Promise<readonly StoredEvent[]> {
    const values = [sessionId, turnId, JSON.stringify(knownKinds())];
    const rows = await this.#deps.driver.all({ sql: SQL.TURN_EVENTS, values });
    return rows.map((row) => toStoredEvent(row, this.#deps.name));
  }

  async openTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    return await this.#turns(SQL.OPEN_TURNS);
  }

  async leftTurns(limit: number): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    return await this.#turns(SQL.LEFT_TURNS, [limit]);
  }

  async parkedTurns(): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    return await this.#turns(SQL.PARKED_TURNS);
  }

  async #turns(
    sql: string,
    values: readonly SqlValue[] = [],
  ): Promise<readonly { readonly session: string; readonly turn: string }[]> {
    const rows = await this.#deps.driver.all({ sql, values });
    return rows.map((row) => ({ session: String(row["session"]), turn: String(row["turn"]) }));
  }

  async usage(at: number): Promise<readonly UsageRow[]> {
    const rows = await readUsage(this.#deps.driver, at);
    return rows.map((row) => toUsageRow(row, this.#deps.name));
  }

  async blob(sha256: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#deps.driver.all({ sql: SQL.BLOB, values: [sha256] });
    if (row === undefined) return undefined;
    const content = row["content"];
    if (!(content instanceof Uint8Array) || await hashOf(content) !== sha256) {
      throw corruptStore(this.#deps.name, `blob ${sha256} has another content`);
    }
    return content;
  }

  sessions(): Promise<SessionStore> {
    return this.#sessions ??= this.#openSessions();
  }

  async #openSessions(): Promise<SessionStore> {
    const { SqlSessionStore } = await import("#/memory/session_store.ts");
    return await SqlSessionStore.open({ ...this.#deps, now: () => this.#now(), blob: (sha256) => this.blob(sha256) });
  }

  async close(): Promise<void> {
    try {
      await this.#deps.driver.close();
    } finally {
      this.#deps.closed();
    }
  }

  async #transact(
    sessionId: string,
    statements: readonly SqlStatement[],
    options: AppendOptions & TransactionOptions & { readonly hasSummary: boolean },
  ) {
    try {
      return await this.#deps.driver.transaction(statements, options);
    } catch (error) {
      if (!(error instanceof AppError) || error.params["reason"] !== "constraint") throw error;
      if (await this.session(sessionId) !== undefined) return await this.#explain(sessionId, options, error);
      const params = { session: sessionId };
      throw new AppError("session_unknown", `there is no session ${sessionId}`, { cause: error, params });
    }
  }

  /** Throws `error`, or what it means when the session is another gateway's. */
  async #explain(
    sessionId: string,
    { owner, hasSummary }: { readonly owner?: string | undefined; readonly hasSummary: boolean },
    error: AppError,
  ): Promise<never> {
    const held = owner === undefined || await this.#isHeld(sessionId, owner);
    if (held) throw hasSummary ? lostEpoch(sessionId, error) : error;
    throw new AppError("session_taken", "Another gateway works on this session; try again when it is done", {
      cause: error,
      params: { session: sessionId },
    });
  }

  async #isHeld(sessionId: string, owner: string): Promise<boolean> {
    return (await this.#deps.driver.all({ sql: SQL.HOLDS, values: [sessionId, owner] })).length > 0;
  }

  #now(): number {
    const now = this.#deps.now();
    requireCount(now, 0, Number.MAX_SAFE_INTEGER);
    return now;
  }
}

function lostEpoch(session: string, cause: AppError): AppError {
  const message = `session ${session} has another summary by now; this one was not recorded`;
  return new AppError("store_failed", message, { cause, params: { reason: "epoch", session } });
}

async function hashOf(content: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", content as Uint8Array<ArrayBuffer>)).toHex();
}

function requireId(id: string): void {
  // node:sqlite cuts a text at its first NUL and writes U+FFFD for a lone surrogate: two ids would become one.
  if (id.length === 0 || id.length > LIMITS.logIdCharsMax || id.includes("\0") || !id.isWellFormed()) {
    throw new RangeError("an id of the log is well-formed text without NUL, neither empty nor over its limit");
  }
}

function requireCount(value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(`${value} is no integer from ${min} to ${max}`);
  }
}
