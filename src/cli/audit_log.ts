import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { resolveUser, type UserFolders } from "#/config/user.ts";
import { listSegments, openSegment, readSegment, type Segment, segmentName } from "#/sandbox/audit_segment.ts";
import type { AuditSegment, KnownHead } from "#/sandbox/audit_verify.ts";
import type { CommonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";
import { isThere, readLog } from "#/cli/read_log.ts";

const Head: z.ZodType<KnownHead> = z.strictObject({
  seq: z.number().int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  turn: z.string().max(LIMITS.logIdCharsMax),
});

/** The folders of the user that the flags mean. Nothing is made. */
export async function findFolders(options: CommonOptions): Promise<UserFolders> {
  return resolveUser(await loadFor(options)).folders;
}

/** The segments of the log in `dir`, each open while it is the current one; none when there is no such folder. Throws AppError `audit_failed`. */
export function* readAuditSegments(dir: string): Generator<AuditSegment> {
  if (!isThere(dir)) return;
  for (const segment of listSegments(dir)) {
    using file = openSegment(dir, segment);
    yield { segment, name: segmentName(segment), chunks: toChunks(file) };
  }
}

function* toChunks(file: Segment): Generator<Uint8Array> {
  for (let at = 0; at < file.size;) {
    const bytes = readSegment(file, at, Math.min(file.size, at + LIMITS.chunkBytesMax));
    if (bytes.length === 0) return;
    at += bytes.length;
    yield bytes;
  }
}

/**
 * The heads that turns named; none when there is no event log yet. Throws AppError `audit_failed` when they cannot be read: then a cut or
 * rewritten log could look whole.
 */
export async function readHeads(internalDir: string, timeoutMs?: number): Promise<readonly KnownHead[]> {
  const heads: KnownHead[] = [];
  for await (const line of readLog({ internalDir, question: ["heads"], failed: unreadable, timeoutMs })) {
    if (heads.length < LIMITS.auditHeadsMax) heads.push(toHead(line));
  }
  return heads;
}

function toHead(line: string): KnownHead {
  try {
    return Head.parse(JSON.parse(line));
  } catch (cause) {
    throw unreadable("the event log names no proper heads", cause);
  }
}

/** What to throw for heads that cannot be compared. */
export function unreadable(why: string, cause?: unknown): AppError {
  return new AppError("audit_failed", `What turns saw of the audit log cannot be compared: ${why}`, { cause });
}
