import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { NewEvent, StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type {
  EventPage,
  Forgotten,
  ImportTarget,
  NewBranch,
  PageQuery,
  SessionChange,
  SessionOverview,
  SessionQuery,
  SessionStore,
} from "#/core/session_store.ts";
import type { SessionRow } from "#/core/store.ts";
import { planAppend } from "#/memory/append_plan.ts";
import { toSessionRow, toStoredEvent } from "#/memory/event_row.ts";
import { EVENTS, SESSION } from "#/memory/event_sql.ts";
import { SessionFileWriter } from "#/memory/session_file.ts";
import { SessionImport, STAGING_USER } from "#/memory/session_import.ts";
import * as SQL from "#/memory/session_sql.ts";
import type { SqlDriver, SqlRow, SqlStatement } from "#/memory/sql.ts";
import { knownKinds } from "#/memory/upcast.ts";

/** What the operations stand on. */
export interface SessionStoreDeps {
  readonly driver: SqlDriver;
  /** Integer ms UTC. */
  now(): number;
  /** What messages call the store. */
  readonly name: string;
  /** Content of a blob, its hash checked. */
  blob(sha256: string): Promise<Uint8Array | undefined>;
}

const Sizes = z.object({ events: z.number().int(), blobs: z.number().int(), bytes: z.number().int() });
const Prefix = z.object({ events: z.number().int(), seq: z.number().int().nullable() });

const CUT = "the session was copied here before this turn had ended";
/** Events that an export reads at once at most. */
const PAGE_EVENTS = 1_000;

/** Operations on sessions over any driver that speaks SQLite's SQL. */
export class SqlSessionStore implements SessionStore {
  readonly #deps: SessionStoreDeps;

  private constructor(deps: SessionStoreDeps) {
    this.#deps = deps;
  }

  /** Opens it; what an import that a crash cut off left behind goes. */
  static async open(deps: SessionStoreDeps): Promise<SqlSessionStore> {
    const store = new SqlSessionStore(deps);
    const before = deps.now() - LIMITS.importStaleMs;
    const stale = await deps.driver.all({ sql: SQL.STALE, values: [STAGING_USER, before] });
    for (const { id } of stale) await store.#drop(String(id));
    return store;
  }

  async list(user: string, query: SessionQuery): Promise<readonly SessionOverview[]> {
    const { includeArchived, channel = null, prefix = "", after, limit } = query;
    const { lastActiveAt, id } = after ?? { lastActiveAt: Number.MAX_SAFE_INTEGER, id: "" };
    const max = LIMITS.sessionTextCharsMax;
    const values = [max, user, includeArchived ? 1 : 0, channel, lastActiveAt, id, limit, prefix];
    return (await this.#deps.driver.all({ sql: SQL.PAGE, values })).map((row) => this.#toOverview(row));
  }

  async overview(id: string): Promise<SessionOverview> {
    const [row] = await this.#deps.driver.all({ sql: SQL.ONE, values: [LIMITS.sessionTextCharsMax, id] });
    if (row === undefined) throw unknown(id);
    return this.#toOverview(row);
  }

  async update(id: string, { displayName, archived }: SessionChange): Promise<SessionRow> {
    const isArchived = archived === undefined ? null : archived ? 1 : 0;
    const values = [id, displayName === undefined ? 0 : 1, displayName ?? null, isArchived];
    const [, rows] = await this.#deps.driver.transaction(
      [{ sql: SQL.UPDATE, values }, { sql: SESSION, values: [id] }],
      { durability: "normal" },
    );
    if (rows![0] === undefined) throw unknown(id);
    return toSessionRow(rows![0], this.#deps.name);
  }

  async archiveIdle(user: string, before: number): Promise<readonly string[]> {
    const statement = { sql: SQL.ARCHIVE_IDLE, values: [user, before] };
    const [rows] = await this.#deps.driver.transaction([statement], { durability: "normal" });
    return rows!.map((row) => String(row["id"]));
  }

  async forget(id: string): Promise<Forgotten> {
    await this.overview(id);
    const { driver } = this.#deps;
    const [known] = await driver.all({ sql: SQL.FORGOTTEN, values: [id] });
    if (known !== undefined) return Sizes.parse(JSON.parse(String(known["payload"])));
    const [size] = await driver.all({ sql: SQL.SIZE, values: [id] });
    const forgotten = Sizes.parse(size);
    const left = { sql: SQL.INSERT_FORGOTTEN, values: [id, this.#deps.now(), JSON.stringify(forgotten)] };
    const statements = [...await this.#deletes(id), { sql: SQL.EMPTY, values: [id] }, left];
    await driver.transaction(statements, { durability: "full" });
    await this.#vacuum();
    return forgotten;
  }

  async branch(from: string, at: number | undefined, branch: NewBranch): Promise<SessionRow> {
    const { driver } = this.#deps;
    const source = await this.overview(from);
    const end = at ?? source.lastSeq;
    const isPlace = Number.isSafeInteger(end) && end >= 1 && end <= source.lastSeq;
    // A driver takes no number that is none.
    const [row] = await driver.all({ sql: SQL.PREFIX, values: [from, isPlace ? end : 0] });
    const { events, seq } = Prefix.parse(row);
    if (!isPlace || seq === null) {
      const range = source.lastSeq === 0 ? "it has none yet" : `it has 1 to ${source.lastSeq}`;
      throw new AppError("usage", `session ${from} has no event ${end} to branch at; ${range}`);
    }
    const now = this.#deps.now();
    const { id, displayName, agent = source.agent, channel } = branch;
    const created = { sql: SQL.INSERT_BRANCH, values: [id, from, agent, displayName, channel, now, seq, events] };
    const copies = [
      ...SQL.COPY.map((sql) => ({ sql, values: [id, from, seq] })),
      { sql: SQL.INSERT_COPIES, values: [id, seq] },
    ];
    const ends = await this.#toEnds(from, seq, { id, now });
    const read = { sql: SESSION, values: [id] };
    try {
      const landed = { sql: SQL.BRANCHED, values: [id, from] };
      const results = await driver.transaction([created, ...copies, ...ends, read], { durability: "normal", landed });
      // What landed answers in the place of the first.
      return toSessionRow((results.at(-1)![0] ?? results[0]![0])!, this.#deps.name);
    } catch (error) {
      // It was deleted meanwhile.
      if (error instanceof AppError && error.params["reason"] === "constraint") throw unknown(from);
      throw error;
    }
  }

  async readPage(id: string, { fromSeq, toSeq, limit }: PageQuery): Promise<EventPage> {
    const { driver, name } = this.#deps;
    const sizes = await driver.all({ sql: SQL.SIZES, values: [id, fromSeq, toSeq, limit] });
    let [bytes, count] = [0, 0];
    for (const { bytes: more } of sizes) {
      bytes += Number(more);
      if (count > 0 && bytes > LIMITS.eventsPageBytesMax) break;
      count++;
    }
    if (count === 0) return { events: [], toSeq };
    const last = Number(sizes[count - 1]!["seq"]);
    const rows = await driver.all({ sql: EVENTS, values: [id, fromSeq, count, JSON.stringify(knownKinds())] });
    const events = rows.map((row) => toStoredEvent(row, name)).filter(({ seq }) => seq <= last);
    return { events, toSeq: last };
  }

  async *exportLines(id: string): AsyncGenerator<string, void, void> {
    const { lastSeq, ...session } = await this.overview(id);
    const writer = new SessionFileWriter(this.#deps.now());
    yield* writer.begin(session);
    const written = new Set<string>();
    let first = 0;
    for await (const { session: _, ...event } of this.#events(id, lastSeq)) {
      first ||= event.seq;
      if (event.type === "forgotten") continue;
      for (const ref of event.blobs) {
        if (written.has(ref.sha256)) continue;
        written.add(ref.sha256);
        const content = await this.#deps.blob(ref.sha256);
        if (content === undefined) throw unknown(id);
        yield writer.blob(content, ref);
      }
      const payload = event.payload as unknown as Readonly<Record<string, unknown>>;
      yield writer.event({ ...event, payload, blobs: [...event.blobs] });
    }
    // Deleted meanwhile: what was read by then is not the whole, and nothing says that it is.
    const isThere = lastSeq === 0 || first > 0 && await this.#has(id, first);
    if (!isThere) throw unknown(id);
    yield writer.end();
  }

  async importLines(
    bytes: AsyncIterable<Uint8Array>,
    { user, channel, onId }: ImportTarget,
  ): Promise<SessionRow> {
    const { driver, name } = this.#deps;
    const work = new SessionImport(this.#deps, channel);
    try {
      const { id, lastSeq } = await work.run(bytes);
      await onId?.(id);
      const now = this.#deps.now();
      const ends = await this.#toEnds(id, lastSeq, { id, now });
      const landed = { sql: SQL.PUBLISHED, values: [id, user] };
      const results = await driver.transaction(
        [
          ...ends,
          { sql: SQL.INSERT_COPIES, values: [id, lastSeq] },
          { sql: SQL.PUBLISH, values: [id, user, now] },
          { sql: SESSION, values: [id] },
        ],
        { durability: "full", landed },
      );
      return toSessionRow((results.at(-1)![0] ?? results[0]![0])!, name);
    } catch (error) {
      if (work.id !== undefined) await this.#drop(work.id);
      throw error;
    }
  }

  /** What ends, in session `id`, the turns that had not ended at `seq` of session `from`. */
  async #toEnds(
    from: string,
    seq: number,
    into: { readonly id: string; readonly now: number },
  ): Promise<SqlStatement[]> {
    const open = await this.#deps.driver.all({ sql: SQL.UNFINISHED, values: [from, seq] });
    return open.flatMap((row) => {
      const end: NewEvent = { type: "turn_cancelled", v: 1, payload: { reason: CUT, steps: Number(row["steps"]) } };
      const place = { session: into.id, turn: String(row["turn"]), at: into.now };
      return planAppend(place, [end], this.#deps.name).statements;
    });
  }

  async #has(id: string, seq: number): Promise<boolean> {
    return (await this.#deps.driver.all({ sql: SQL.SIZES, values: [id, seq, seq, 1] })).length > 0;
  }

  async *#events(id: string, lastSeq: number): AsyncGenerator<StoredEvent, void, void> {
    for (let fromSeq = 1; fromSeq <= lastSeq;) {
      const { events, toSeq } = await this.readPage(id, { fromSeq, toSeq: lastSeq, limit: PAGE_EVENTS });
      yield* events;
      fromSeq = toSeq + 1;
    }
  }

  async #deletes(id: string): Promise<SqlStatement[]> {
    const [leases] = await this.#deps.driver.all({ sql: SQL.TABLE, values: ["leases"] });
    const all = [...SQL.FORGET, ...(leases === undefined ? [] : [`DELETE FROM leases WHERE session = ?1`])];
    return [...all.map((sql) => ({ sql, values: [id] })), { sql: SQL.SWEEP_BLOBS }];
  }

  /** Nothing is left of it, not even its row. */
  async #drop(id: string): Promise<void> {
    const statements = [...await this.#deletes(id), { sql: SQL.DELETE_SESSION, values: [id] }];
    await this.#deps.driver.transaction(statements, { durability: "normal" });
    await this.#vacuum();
  }

  /** Gives pages back a part at a time, so that nobody waits for long; a file made before this version keeps and reuses them. */
  async #vacuum(): Promise<void> {
    let free = Infinity;
    for (;;) {
      const [row] = await this.#tidy("PRAGMA freelist_count");
      const now = Number(row?.["freelist_count"] ?? 0);
      if (now === 0 || now >= free) break;
      free = now;
      await this.#tidy(`PRAGMA incremental_vacuum(${LIMITS.vacuumPagesMax})`);
    }
    await this.#tidy("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** A pragma that a store far away may not know; what it is for happens there in its own way, or not at all. */
  async #tidy(sql: string): Promise<readonly SqlRow[]> {
    try {
      return await this.#deps.driver.all({ sql });
    } catch (error) {
      if (error instanceof AppError) return [];
      throw error;
    }
  }

  #toOverview(row: SqlRow): SessionOverview {
    const text = row["last_text"];
    return {
      ...toSessionRow(row, this.#deps.name),
      lastSeq: Number(row["last_seq"]),
      turns: Number(row["turns"]),
      lastText: typeof text === "string" ? text : null,
    };
  }
}

function unknown(id: string): AppError {
  return new AppError("session_unknown", `there is no session ${id}`, { params: { session: id } });
}
