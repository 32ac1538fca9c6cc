import type { AuditFields, AuditHead, AuditKind } from "#/core/audit.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { type ChainedEntry, parseChainedLine, sha256Of, toChainedLine } from "#/lib/chained_line.ts";
import { join } from "#/lib/path.ts";
import { toPrintable } from "#/lib/printable.ts";
import {
  appendSegment,
  listSegments,
  openSegment,
  readSegment,
  type Segment,
  segmentName,
} from "#/sandbox/audit_segment.ts";

/** What the first entry of a log names as the one before it. */
export const AUDIT_ROOT: AuditHead = { seq: 0, sha256: "0".repeat(64) };
const DAMAGED = "it is damaged; look with `oxydra audit verify`, then move the folder away";
/** The only members that are written, at any depth: what a caller hands over besides, such as arguments, stays out. */
const MEMBERS: ReadonlySet<string> = new Set(
  ("user agent origin session turn callId tool name package version sha256 argsSha256 decision source policyDigest " +
    "capabilities grant code outputBytes readBytes writtenBytes upBytes downBytes elapsedMs state answer by expiresAt " +
    "subject segment lastSegment firstSeq firstSha256").split(" "),
);

/** An audit log, open for writing. */
export interface Audit {
  /** The last entry. */
  readonly head: AuditHead;
  /** Writes one entry and returns it as the new head. Throws AppError `audit_failed`: then nothing may run. */
  append<K extends AuditKind>(kind: K, fields: AuditFields[K]): AuditHead;
  close(): void;
}

/** Where a log lies and how large it gets; sizes and times are those of LIMITS when absent. */
export interface AuditOptions {
  /** Host path of a folder that only the runner writes. */
  readonly dir: string;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** The first entry of this start. */
  readonly opened: AuditFields["opened"];
  readonly segmentBytesMax?: number;
  readonly bytesMax?: number;
  readonly keepMs?: number;
}

/**
 * Opens the log in `dir` and notes the start: segments `audit-000001.jsonl`, … of one JSON line an entry, each naming the hash of the
 * one before. One O_APPEND write an entry, no fsync: a killed runner loses nothing, a power cut may lose the last seconds. What a crash
 * left half-written stays where it is, and the next entry names it (`torn`). One writer at a time: whoever holds the runner's
 * lock. Throws AppError `audit_failed`, also for a folder or segment that is a link, nothing plain, someone else's or damaged.
 */
export function openAudit(options: AuditOptions): Audit {
  const chain = new Chain(options);
  chain.append("opened", options.opened);
  return chain;
}

class Chain implements Audit {
  readonly #options: Required<AuditOptions>;
  head: AuditHead = AUDIT_ROOT;
  #file: Segment | undefined;
  #segment = 0;
  #size = 0;
  /** Bytes behind the last whole entry; none when only its newline is missing. */
  #torn: Uint8Array | undefined;
  #isClosed = false;

  constructor(options: AuditOptions) {
    const { auditSegmentBytesMax: segmentBytesMax, auditBytesMax: bytesMax, auditKeepMs: keepMs } = LIMITS;
    this.#options = { segmentBytesMax, bytesMax, keepMs, ...options };
  }

  append<K extends AuditKind>(kind: K, fields: AuditFields[K]): AuditHead {
    try {
      if (this.#isClosed) throw failed("it is closed");
      if (this.#file === undefined) this.#recover();
      if (this.#size >= this.#options.segmentBytesMax && this.#torn === undefined) this.#rotate();
      return this.#write(kind, fields);
    } catch (cause) {
      // What was written of it is looked for by the next call.
      this.#open(undefined);
      throw cause instanceof AppError ? cause : failed(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#open(undefined);
  }

  #open(file: Segment | undefined): void {
    this.#file?.[Symbol.dispose]();
    this.#file = file;
    this.#size = file?.size ?? 0;
  }

  #write(kind: AuditKind, fields: AuditFields[AuditKind]): AuditHead {
    const bytes = this.#torn?.length;
    const torn = bytes ? { bytes, sha256: sha256Of(this.#torn!) } : undefined;
    const seq = this.head.seq + 1;
    const from = kind === "notice" && "from" in fields ? fields.from : "runner";
    const own = { v: 1, seq, at: this.#options.now(), kind, from, prev: this.head.sha256, torn };
    const { line, sha256 } = toChainedLine({ ...toBounded(fields) as AuditFields[AuditKind], ...own });
    const content = new TextEncoder().encode(`${bytes === undefined ? "" : "\n"}${line}\n`);
    if (content.length > LIMITS.auditEntryBytesMax) throw failed(`an entry has ${content.length} bytes`);
    appendSegment(this.#file!, this.#size, content);
    this.#size += content.length;
    this.#torn = undefined;
    return this.head = { seq, sha256 };
  }

  /** Finds the last whole entry on the disk. */
  #recover(): void {
    const { dir } = this.#options;
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#segment = listSegments(dir).at(-1) ?? 1;
    this.#open(openSegment(dir, this.#segment, "append"));
    const { head, torn } = readTail(dir, this.#segment);
    // Without an entry it is the very first segment, or a crash came before the first entry of this one.
    const isNew = head === undefined && this.#segment > 1;
    const { seq, sha256 } = (isNew ? readTail(dir, this.#segment - 1).head : head) ?? AUDIT_ROOT;
    if (seq < this.head.seq) throw failed("its last entries are gone");
    [this.head, this.#torn] = [{ seq, sha256 }, torn];
    if (isNew) this.#write("rotated", { segment: segmentName(this.#segment - 1) });
  }

  #rotate(): void {
    const old = this.#planDrop();
    const { dir } = this.#options;
    this.#open(openSegment(dir, this.#segment + 1, "create"));
    this.#write("rotated", { segment: segmentName(this.#segment++) });
    for (const segment of old) {
      // Said first, one by one: whatever a crash leaves begins where an entry says.
      const { seq: firstSeq, sha256: firstSha256 } = readFirst(dir, segment + 1);
      this.#write("dropped", { lastSegment: segmentName(segment), firstSeq, firstSha256 });
      Deno.removeSync(join(dir, segmentName(segment)));
    }
  }

  /** The oldest segments, as many as must go so that one more fits. None younger than `keepMs`: a flood of calls must not wash them away. */
  #planDrop(): readonly number[] {
    const { dir, now, segmentBytesMax, bytesMax, keepMs } = this.#options;
    const segments = listSegments(dir);
    const sizes = segments.map((segment) => Deno.lstatSync(join(dir, segmentName(segment))).size);
    let left = sizes.reduce((sum, size) => sum + size, segmentBytesMax + LIMITS.auditEntryBytesMax);
    let count = 0;
    while (left > bytesMax && count < segments.length - 1) left -= sizes[count++]!;
    if (count === 0 || readFirst(dir, segments[count]!).at <= now() - keepMs) return segments.slice(0, count);
    throw failed(`${dir} is full, and its oldest segment is too young to go`);
  }
}

function readFirst(dir: string, segment: number): ChainedEntry {
  using file = openSegment(dir, segment);
  const bytes = readSegment(file, 0, LIMITS.auditEntryBytesMax);
  const entry = parseEntry(bytes.subarray(0, bytes.indexOf(10)));
  if (entry === undefined) throw failed(DAMAGED);
  return entry;
}

/** The last whole entry, and what a crash left behind it. */
function readTail(dir: string, segment: number): { head?: AuditHead; torn?: Uint8Array } {
  using file = openSegment(dir, segment);
  const bytes = readSegment(file, Math.max(0, file.size - LIMITS.auditTornBytesMax), file.size);
  for (let end = bytes.length; end > 0;) {
    const start = bytes.lastIndexOf(10, end - 1) + 1;
    const head = parseEntry(bytes.subarray(start, end));
    const torn = bytes.subarray(end + 1);
    if (head !== undefined) return end === bytes.length || torn.length > 0 ? { head, torn } : { head };
    end = start - 1;
  }
  if (file.size > bytes.length) throw failed(DAMAGED);
  return file.size > 0 ? { torn: bytes } : {};
}

/** Undefined for what is no JSON, as half a line is. */
function parseEntry(line: Uint8Array): ChainedEntry | undefined {
  const entry = parseChainedLine(line);
  if (entry === "forged") throw failed(DAMAGED);
  return entry === "broken" ? undefined : entry;
}

/** A text as an entry has it. Pure. */
export function toAuditText(value: string): string {
  const max = LIMITS.auditFieldCharsMax;
  const text = toPrintable(value.slice(0, max + 1).toWellFormed());
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

function toBounded(value: unknown): unknown {
  if (typeof value === "string") return toAuditText(value);
  if (Array.isArray(value)) return value.map(toBounded);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([name]) => MEMBERS.has(name));
  return Object.fromEntries(members.map(([name, member]) => [name, toBounded(member)]));
}

function failed(why: string, cause?: unknown): AppError {
  return new AppError("audit_failed", `The audit log cannot be written, so nothing runs: ${why}`, { cause });
}
