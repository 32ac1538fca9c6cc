import { AppError, messageOf } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { toPrintable } from "#/lib/printable.ts";
import type { LogEntry, LogsAnswer, LogsRequest } from "#/runner/control_frames.ts";
import { LOG_FILES, type LogName } from "#/runner/log_names.ts";

const BLOCK_BYTES = 65_536;
const LINE_BREAK = 10;
/** What `openLogFile` writes in front of a line, and the container engines as well (with nanoseconds). */
const TIMED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) ?/;
const WORDS = /^(\d{1,9})(s|m|h|d)$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
/** RFC 3339; one without a zone is UTC, as clients of the reference write it. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?$/;

/** How far a file was read. */
export interface LogPlace {
  readonly file: LogName;
  readonly ino: number | null;
  /** In bytes. */
  readonly offset: number;
}

/** The moment that a `since` means, integer ms UTC. Throws AppError `usage`. */
export function parseSince(text: string, now: number): number {
  const words = WORDS.exec(text.trim());
  if (words !== null) return now - Number(words[1]) * SECONDS[words[2]!]! * 1_000;
  const moment = MOMENT.exec(text.trim());
  const at = moment === null ? NaN : Date.parse(`${text.trim()}${moment[1] === undefined ? "Z" : ""}`);
  if (Number.isFinite(at)) return at;
  throw new AppError(
    "usage",
    `since ${toPrintable(text)}: this is no time; as in 30s, 15m, 1h, 2d or 2030-01-31T18:00:00Z`,
  );
}

/**
 * The newest lines of the logs in this folder that are asked for, over all files in the order of their times, and how far each file was
 * read. At most `logTailMax` lines and `bytesMax` of them as JSON; the oldest are left out. A file that cannot be read is a warning.
 * Throws AppError `usage` for a `since` that is no time.
 */
export function readLogs(
  logsDir: string,
  request: LogsRequest,
  now: number,
  bytesMax: number = LIMITS.logAnswerBytesMax,
): { readonly answer: LogsAnswer; readonly places: readonly LogPlace[] } {
  const tail = Math.min(request.tail ?? LIMITS.logTailDefault, LIMITS.logTailMax);
  const since = request.since ? parseSince(request.since, now) : -Infinity;
  const warnings: string[] = [];
  const places: LogPlace[] = [];
  const lines: Line[] = [];
  let truncated = false;
  for (const file of toFiles(request)) {
    try {
      const found = readTail(join(logsDir, file.name), { tail, since, bytesMax });
      places.push({ file, ino: found.ino, offset: found.offset });
      truncated ||= found.truncated;
      for (const line of found.lines) lines.push({ ...line, file });
    } catch (error) {
      warnings.push(`${file.name} cannot be read: ${messageOf(error)}`);
    }
  }
  if (request.role !== "runtime" && !places.some(({ file, ino }) => file.role === "sidecar" && ino !== null)) {
    warnings.push("no sidecar has written anything here");
  }
  // Stable: lines of one file keep their order, whatever their clock did.
  const sorted = lines.toSorted((a, b) => a.at - b.at);
  const kept = toKept(sorted.slice(Math.max(0, sorted.length - tail)), bytesMax);
  return { answer: { entries: kept, truncated: truncated || kept.length < sorted.length, warnings }, places };
}

/** The files that have what is asked for. Pure. */
export function toFiles({ role, stream }: Pick<LogsRequest, "role" | "stream">): readonly LogName[] {
  return LOG_FILES.filter((file) =>
    (role === "all" || file.role === role) && (stream === "both" || file.stream === stream)
  );
}

/** A line as it is shown. Pure. */
export function toEntry(text: string, { role, stream }: LogName): LogEntry {
  const time = TIMED.exec(text);
  const message = toPrintable(text.slice(time?.[0].length ?? 0));
  return { ...(time === null ? {} : { timestamp: time[1]! }), source: "process_file", role, stream, message };
}

interface Line {
  readonly text: string;
  /** Of the line, or of the one before it that has a time. */
  readonly at: number;
  readonly file: LogName;
}

interface Wanted {
  readonly tail: number;
  readonly since: number;
  readonly bytesMax: number;
}

interface Tail {
  readonly lines: readonly Omit<Line, "file">[];
  readonly truncated: boolean;
  readonly ino: number | null;
  readonly offset: number;
}

/** The last lines of a file and of the one before it. */
function readTail(path: string, { tail, since, bytesMax }: Wanted): Tail {
  const texts: string[] = [];
  let [ino, offset, bytes]: [number | null, number, number] = [null, 0, 0];
  let isOlder = false;
  let truncated = false;
  for (const name of [path, `${path}.1`]) {
    if (isOlder || truncated) break;
    using file = openIfThere(name);
    if (file === undefined) continue;
    const { size, ino: inode } = file.statSync();
    if (name === path) [ino, offset] = [inode, size];
    for (const text of linesBackwards(file, size)) {
      const at = toTime(text);
      isOlder = at !== undefined && at < since;
      truncated = !isOlder && (texts.length >= tail || bytes > bytesMax);
      if (isOlder || truncated) break;
      texts.push(text);
      bytes += text.length;
    }
  }
  texts.reverse();
  return { lines: toTimed(texts, isOlder), truncated, ino, offset };
}

/** Gives lines without a time the one before theirs; those that follow a line which is too old are too old. */
function toTimed(texts: readonly string[], isCut: boolean): Omit<Line, "file">[] {
  let last: number | undefined;
  const lines = texts.map((text) => ({ text, at: last = toTime(text) ?? last }));
  const first = lines.find(({ at }) => at !== undefined)?.at ?? 0;
  return lines.filter(({ at }) => !isCut || at !== undefined).map(({ text, at }) => ({ text, at: at ?? first }));
}

function toTime(text: string): number | undefined {
  const time = TIMED.exec(text)?.[1];
  return time === undefined ? undefined : Date.parse(time);
}

/** The newest that fit. */
function toKept(lines: readonly Line[], bytesMax: number): LogEntry[] {
  const encoder = new TextEncoder();
  const kept: LogEntry[] = [];
  let bytes = 0;
  for (const { text, file } of lines.toReversed()) {
    const entry = toEntry(text, file);
    bytes += encoder.encode(JSON.stringify(entry)).length + 1;
    if (bytes > bytesMax) break;
    kept.push(entry);
  }
  return kept.reverse();
}

function openIfThere(path: string): Deno.FsFile | undefined {
  try {
    // A pipe in its place would hold this process for ever.
    if (Deno.lstatSync(path).isFile) return Deno.openSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

/** Lines that are not empty, the last one first. */
function* linesBackwards(file: Deno.FsFile, size: number): Generator<string> {
  const decoder = new TextDecoder();
  let end: Uint8Array = new Uint8Array();
  for (let at = size; at > 0;) {
    const length = Math.min(BLOCK_BYTES, at);
    at -= length;
    let block: Uint8Array = readAt(file, at, length);
    for (let cut = block.lastIndexOf(LINE_BREAK); cut >= 0; cut = block.lastIndexOf(LINE_BREAK)) {
      const line = joinLine(block.subarray(cut + 1), end);
      if (line.length > 0) yield decoder.decode(line);
      end = new Uint8Array();
      block = block.subarray(0, cut);
    }
    end = joinLine(block, end);
  }
  if (end.length > 0) yield decoder.decode(end);
}

function readAt(file: Deno.FsFile, at: number, length: number): Uint8Array {
  const block = new Uint8Array(length);
  file.seekSync(at, Deno.SeekMode.Start);
  let read = 0;
  while (read < length) {
    const count = file.readSync(block.subarray(read));
    if (count === null) break;
    read += count;
  }
  return block.subarray(0, read);
}

/** One after the other, as far as a line may go. */
function joinLine(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (second.length === 0) return first.subarray(0, LIMITS.logLineBytesMax);
  const both = new Uint8Array(Math.min(first.length + second.length, LIMITS.logLineBytesMax));
  both.set(first.subarray(0, both.length));
  if (first.length < both.length) both.set(second.subarray(0, both.length - first.length), first.length);
  return both;
}
