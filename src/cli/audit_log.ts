import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { resolveUser, type UserFolders } from "#/config/user.ts";
import { parseChainedLine } from "#/lib/chained_line.ts";
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

/** The last whole entry of the log in `dir`, or null when there is none. It is read, not verified. Throws AppError `audit_failed`. */
export function readAuditHead(
  dir: string,
): { readonly seq: number; readonly sha256: string; readonly at: number } | null {
  if (!isThere(dir)) return null;
  for (const segment of listSegments(dir).reverse()) {
    using file = openSegment(dir, segment);
    const bytes = readSegment(file, Math.max(0, file.size - LIMITS.auditTornBytesMax), file.size);
    for (let end = bytes.length; end > 0;) {
      const start = bytes.lastIndexOf(10, end - 1) + 1;
      const entry = parseChainedLine(bytes.subarray(start, end));
      if (typeof entry !== "string") return { seq: entry.seq, sha256: entry.sha256, at: entry.at };
      end = start - 1;
    }
  }
  return null;
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
