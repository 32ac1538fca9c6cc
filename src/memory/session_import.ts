import type { AppError } from "#/core/error.ts";
import type { EventPayloads } from "#/core/event.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import { splitLines } from "#/lib/byte_lines.ts";
import { toPrintable } from "#/lib/printable.ts";
import { toPayload } from "#/memory/event_row.ts";
import { INSERT_BLOB } from "#/memory/event_sql.ts";
import { type FileEvent, type FileLine, SessionFileReader } from "#/memory/session_file.ts";
import * as SQL from "#/memory/session_sql.ts";
import type { SqlDriver, SqlStatement } from "#/memory/sql.ts";

/** Whose a session is while it is being filled: no user's, so that nobody sees half of it. */
export const STAGING_USER = ".importing";

const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** What an import stands on. */
export interface ImportDeps {
  readonly driver: SqlDriver;
  /** Integer ms UTC. */
  now(): number;
}

/** A session that was filled and is nobody's yet. */
export interface Staged {
  readonly id: string;
  readonly lastSeq: number;
}

/** Fills a new session from the lines of a file, a part at a time. */
export class SessionImport {
  readonly #deps: ImportDeps;
  readonly #channel: string;
  readonly #reader = new SessionFileReader();
  #id: string | undefined;
  #lastSeq = 0;
  #oldSeq = 0;
  /** Of the last summary. */
  #epoch = 0;
  /** Where places moved: from this old one on, by so many. */
  readonly #moves: { readonly from: number; readonly by: number }[] = [];
  /** Blobs that wait for their event. */
  readonly #blobs = new Map<string, Uint8Array>();
  #blobBytes = 0;
  readonly #seen = new Map<string, number>();
  #batch: SqlStatement[] = [];
  #batchBytes = 0;

  constructor(deps: ImportDeps, channel: string) {
    this.#deps = deps;
    this.#channel = channel;
  }

  /** Of the session that is being filled, once there is one. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Throws AppError `usage` with the line, or `store_*`. What was recorded by then is the caller's to delete. */
  async run(bytes: AsyncIterable<Uint8Array>): Promise<Staged> {
    const bounds = { lineBytesMax: LIMITS.importLineBytesMax, bytesMax: LIMITS.importBytesMax };
    try {
      for await (const line of splitLines(bytes, bounds)) await this.#take(this.#reader.read(line));
    } catch (error) {
      if (error instanceof RangeError) throw this.#wrong(`behind it: ${error.message}`, error);
      throw error;
    }
    this.#reader.finish();
    if (this.#blobs.size > 0) throw this.#wrong("a blob belongs to no event");
    await this.#flush();
    return { id: this.#id!, lastSeq: this.#lastSeq };
  }

  async #take(line: FileLine): Promise<void> {
    if (line.type === "session") return await this.#begin(line.session);
    if (line.type === "blob") return this.#keep(line.content, this.#reader.contentOf(line.data));
    if (line.type !== "event") return;
    this.#add(line.event);
    if (this.#batchBytes > LIMITS.importBatchBytesMax) await this.#flush();
  }

  async #begin({ id, agent, name }: Extract<FileLine, { type: "session" }>["session"]): Promise<void> {
    const now = this.#deps.now();
    // An id that somebody chose may be one that a client asks for by default: it would find another's conversation there.
    let free = uuidv7(now);
    if (UUIDV7.test(id)) {
      const [taken] = await this.#deps.driver.all({ sql: SQL.ONE, values: [1, id] });
      if (taken === undefined) free = id;
    }
    const shown = name === null ? null : toPrintable(name).slice(0, LIMITS.sessionNameCharsMax).toWellFormed();
    const values = [free, STAGING_USER, agent, shown, this.#channel, now];
    await this.#deps.driver.transaction([{ sql: SQL.INSERT_STAGED, values }], { durability: "normal" });
    this.#id = free;
  }

  #keep(sha256: string, content: Uint8Array): void {
    this.#blobBytes += content.length;
    if (this.#blobBytes > LIMITS.importBlobBytesMax) {
      throw this.#wrong(`more than ${LIMITS.importBlobBytesMax} bytes of blobs before an event`);
    }
    this.#blobs.set(sha256, content);
    this.#seen.set(sha256, content.length);
  }

  #add(event: FileEvent): void {
    if (event.seq <= this.#oldSeq) throw this.#wrong("the events are not in their order");
    if (event.seq !== this.#oldSeq + 1) this.#moves.push({ from: event.seq, by: this.#lastSeq + 1 - event.seq });
    this.#oldSeq = event.seq;
    const payload = this.#toPayload(event);
    if (payload.length > LIMITS.eventCharsMax) {
      throw this.#wrong(`an event has at most ${LIMITS.eventCharsMax} characters`);
    }
    const [id, seq] = [this.#id!, ++this.#lastSeq];
    for (const { sha256, bytes } of event.blobs) this.#claim(sha256, bytes);
    const { turn, type, v, at, blobs } = event;
    this.#batch.push({ sql: SQL.INSERT_EVENT, values: [id, seq, turn, type, v, at, blobs.length, payload] });
    for (const [ordinal, { sha256, mimeType }] of blobs.entries()) {
      this.#batch.push({ sql: SQL.INSERT_EVENT_BLOB, values: [id, seq, ordinal, sha256, mimeType] });
    }
    this.#batch.push({ sql: SQL.TOUCH_TURN, values: [id, turn, seq] });
    this.#batchBytes += payload.length + 256;
  }

  /** Blobs come from this very file: one that only the log has is somebody else's. */
  #claim(sha256: string, bytes: number): void {
    if (this.#seen.get(sha256) !== bytes) throw this.#wrong("the event names a blob that did not come before it");
    const content = this.#blobs.get(sha256);
    if (content === undefined) return;
    this.#blobs.delete(sha256);
    this.#blobBytes -= content.length;
    this.#batchBytes += content.length;
    this.#batch.push({ sql: INSERT_BLOB, values: [sha256, bytes, content] });
  }

  #toPayload({ type, v, payload }: FileEvent): string {
    const made = this.#moved(type, payload);
    const text = JSON.stringify(made);
    let read: unknown;
    try {
      read = toPayload(type, v, text);
    } catch (error) {
      throw this.#wrong(`what the event of kind ${type} says is not what such an event holds`, error);
    }
    if (type !== "summary") return text;
    const { epoch } = read as EventPayloads["summary"];
    if (epoch <= this.#epoch) throw this.#wrong("its summaries are not in their order");
    this.#epoch = epoch;
    return text;
  }

  /** A payload that names places of this session's events, with the places that they have here. */
  #moved(type: string, payload: FileEvent["payload"]): FileEvent["payload"] {
    // The heads are those of another audit log: `audit verify` would call its own broken.
    if (type === "turn_done") return { ...payload, auditHead: undefined };
    if (type === "summary") return this.#range(payload);
    const window = payload["window"];
    if (type !== "model_request" || typeof window !== "object" || window === null) return payload;
    return { ...payload, window: this.#range(window as FileEvent["payload"]) };
  }

  #range(range: FileEvent["payload"]): FileEvent["payload"] {
    if (this.#moves.length === 0) return range;
    const move = (old: unknown) =>
      typeof old === "number" ? Math.max(0, old + (this.#moves.findLast(({ from }) => from <= old)?.by ?? 0)) : old;
    return { ...range, fromSeq: move(range["fromSeq"]), toSeq: move(range["toSeq"]) };
  }

  async #flush(): Promise<void> {
    const values = [this.#id!, this.#deps.now(), this.#lastSeq];
    const statements = [...this.#batch, { sql: SQL.TOUCH_SESSION, values }];
    [this.#batch, this.#batchBytes] = [[], 0];
    const landed = { sql: SQL.FILLED, values: [this.#id!, this.#lastSeq] };
    await this.#deps.driver.transaction(statements, { durability: "normal", landed });
  }

  #wrong(text: string, cause?: unknown): AppError {
    return this.#reader.wrong(text, cause);
  }
}
