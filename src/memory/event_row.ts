import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { BlobRef, EventType, StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionRow, UsageRow } from "#/core/store.ts";
import { EVENT_PAYLOADS } from "#/memory/event_payload.ts";
import type { SqlRow } from "#/memory/sql.ts";
import { corruptStore } from "#/memory/store_error.ts";
import { upcast } from "#/memory/upcast.ts";

const EventRow = z.object({
  session: z.string(),
  seq: z.number().int().positive(),
  turn: z.string(),
  type: z.custom<EventType>((value) => typeof value === "string" && Object.hasOwn(EVENT_PAYLOADS, value)),
  v: z.number().int().positive(),
  at: z.number().int(),
  blobs: z.number().int().nonnegative(),
  payload: z.string(),
  refs: z.string().nullable(),
});

const BlobRefs = z.array(z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
  mimeType: z.string(),
}));

const SessionColumns = z.object({
  id: z.string(),
  user: z.string(),
  agent: z.string(),
  display_name: z.string().nullable(),
  channel: z.string(),
  parent: z.string().nullable(),
  created_at: z.number().int(),
  last_active_at: z.number().int(),
  archived: z.number().int(),
});

const amount = z.number().nonnegative();
const name = z.string().max(LIMITS.logIdCharsMax);

const UsageColumns: z.ZodType<UsageRow> = z.strictObject({
  day: z.number().int().nonnegative().max(100_000_000),
  session: name,
  provider: name,
  model: name,
  calls: amount,
  inputTokens: amount,
  cachedTokens: amount,
  outputTokens: amount,
  cost: amount,
  unpricedCalls: amount,
  estimatedCalls: amount,
  openCalls: amount,
});

/**
 * An event from its columns (session, seq, turn, type, v, at, blobs, payload and `refs`, the JSON of its blob references), its payload
 * at the last version. Throws AppError `store_corrupt` with session and seq for a row that no version of ours has written.
 */
export function toStoredEvent(row: SqlRow, file: string): StoredEvent {
  try {
    const { refs, payload, blobs, ...place } = EventRow.parse(row);
    const parsed = toPayload(place.type, place.v, payload);
    const blobRefs = refs === null ? [] : toBlobRefs(JSON.parse(refs));
    if (blobRefs.length !== blobs) throw new RangeError("a blob reference is missing");
    // One kind's payload beside the same kind's name: the pairing that the two tables guarantee and the compiler cannot follow.
    return { ...place, v: 1, payload: parsed, blobs: blobRefs } as StoredEvent;
  } catch (cause) {
    const [seq, session] = [Number(row["seq"]), String(row["session"])];
    const message = `event ${seq} of session ${session} in ${file} is damaged; it was left as it is. ` +
      `Start another session, or put a backup of ${file} in its place.`;
    throw new AppError("store_corrupt", message, { cause, params: { file, session, seq } });
  }
}

/** A payload at the last version from its text. Throws what JSON, zod or the upcast throws for a text that no version of ours has written. */
export function toPayload(type: EventType, v: number, text: string): unknown {
  return EVENT_PAYLOADS[type].parse(upcast(type, v, JSON.parse(text)));
}

/** Blob references from what looks like them; other fields are left out. Throws ZodError. */
export function toBlobRefs(value: unknown): readonly BlobRef[] {
  return BlobRefs.parse(value);
}

/** A session from its columns. Throws AppError `store_corrupt`. */
export function toSessionRow(row: SqlRow, file: string): SessionRow {
  const columns = SessionColumns.safeParse(row);
  if (!columns.success) throw corruptStore(file, `session ${String(row["id"])} is not readable`, columns.error);
  const { display_name, created_at, last_active_at, archived, ...same } = columns.data;
  return {
    ...same,
    displayName: display_name,
    createdAt: created_at,
    lastActiveAt: last_active_at,
    archived: archived !== 0,
  };
}

/** Calls of a model from the columns of `readUsage`. Throws AppError `store_corrupt`. */
export function toUsageRow(row: SqlRow, file: string): UsageRow {
  const columns = UsageColumns.safeParse(row);
  if (!columns.success) throw corruptStore(file, "it names no proper counts of tokens", columns.error);
  return columns.data;
}
