import { isTurnEnd, type NewEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { toBlobRefs, toPayload } from "#/memory/event_row.ts";
import * as SQL from "#/memory/event_sql.ts";
import type { SqlStatement } from "#/memory/sql.ts";
import { storeFailed } from "#/memory/store_error.ts";

/** Where and when a batch is recorded. `at` is integer ms UTC. */
export interface AppendPlace {
  readonly session: string;
  readonly turn: string;
  readonly at: number;
  /** Whose lease it needs, and for how long it claims one first. */
  readonly owner?: string | undefined;
  readonly claimMs?: number | undefined;
  /** A name of its own for this append, for a store whose answers can get lost. */
  readonly receipt?: string | undefined;
}

/** What one append does. */
export interface AppendPlan {
  /** To be run in one transaction; the one at `seqAt` gives `last_seq`, the number of the batch's last event. */
  readonly statements: readonly SqlStatement[];
  readonly seqAt: number;
  /** The events as a reader will get them, but for `seq`. */
  readonly events: readonly Omit<StoredEvent, "seq">[];
}

/**
 * The statements of one append to the store that messages call `file`. Throws AppError `store_failed` for what is over a limit; TypeError or
 * RangeError for an event that could not be read back: it would make its whole session unreadable.
 */
export function planAppend(place: AppendPlace, events: readonly NewEvent[], file: string): AppendPlan {
  const { session, turn, at, receipt } = place;
  const fence = planFence(place);
  const statements: SqlStatement[] = [
    ...fence,
    { sql: SQL.TAKE_SEQS, values: [session, events.length, at] },
    { sql: SQL.UPSERT_TURN, values: [session, turn, events.length, stateAfter(events)] },
  ];
  if (receipt !== undefined) {
    statements.push({ sql: SQL.INSERT_RECEIPT, values: [session, receipt] });
    statements.push({ sql: SQL.DROP_RECEIPTS, values: [LIMITS.receiptsKeptMax] });
  }
  const planned = events.map((event, index) => {
    const { type, v } = event;
    const text = JSON.stringify(event.payload);
    requireSize(text.length, "characters", LIMITS.eventCharsMax, file);
    const [payload, blobs] = readBack(event, text);
    // `seq` is counted back from the session's last one. An unknown session has none, and the schema refuses NULL: no question of its own.
    const back = events.length - 1 - index;
    const values = [session, back, turn, type, v, at, blobs.length, text];
    if (event.type !== "summary") statements.push({ sql: SQL.INSERT_EVENT, values });
    else statements.push({ sql: SQL.INSERT_SUMMARY, values: [...values, event.payload.epoch] });
    for (const [ordinal, blob] of (event.blobs ?? []).entries()) {
      if (blob.bytes !== blob.content.length) throw new RangeError("a blob's size is not the size of its content");
      requireSize(blob.bytes, "bytes", LIMITS.blobBytesMax, file);
      statements.push({ sql: SQL.INSERT_BLOB, values: [blob.sha256, blob.bytes, blob.content] });
      statements.push({ sql: SQL.INSERT_EVENT_BLOB, values: [session, back, ordinal, blob.sha256, blob.mimeType] });
    }
    return { session, turn, type, v, at, payload, blobs } as Omit<StoredEvent, "seq">;
  });
  if (place.owner !== undefined && stateAfter(events) !== "open") {
    statements.push({ sql: SQL.RELEASE, values: [session, place.owner] });
  }
  return { statements, seqAt: fence.length, events: planned };
}

function planFence({ session, owner, claimMs }: AppendPlace): SqlStatement[] {
  if (owner === undefined) return [];
  const claim = claimMs === undefined ? [] : [{ sql: SQL.CLAIM, values: [session, owner, claimMs / 1_000] }];
  return [...claim, { sql: SQL.FENCE, values: [session, owner] }];
}

function readBack(event: NewEvent, text: string) {
  try {
    return [toPayload(event.type, event.v, text), toBlobRefs(event.blobs ?? [])] as const;
  } catch (cause) {
    throw new TypeError(`an event of kind ${event.type} could not be read back`, { cause });
  }
}

/** An ended turn stays ended whatever comes late; a parked one waits for an answer and opens with the next event. */
function stateAfter(events: readonly NewEvent[]): "open" | "parked" | "ended" {
  if (events.some(isTurnEnd)) return "ended";
  return events.at(-1)?.type === "parked" ? "parked" : "open";
}

function requireSize(size: number, unit: string, max: number, file: string): void {
  if (size > max) throw storeFailed(file, "full", `an event of ${size} ${unit} is over the limit of ${max}`);
}
