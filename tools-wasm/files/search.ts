import { toFailure } from "../sdk/execute.ts";
import type { FilesHost, HostPage } from "../sdk/host.ts";
import { findHits, type Hit, type MatchArgs, toMatcher } from "./match.ts";
import { OUTPUT_BYTES_MAX, plural, utf8Bytes } from "../sdk/text.ts";
import { toCanonicalPath } from "./text.ts";

/** Arguments of file_search, parsed by the host. */
export interface SearchArgs extends MatchArgs {
  readonly path?: string;
  readonly glob?: string;
  readonly max_results?: number;
  readonly context?: number;
}

const RESULTS_DEFAULT = 100;
/** A longer line is cut around its match. */
const LINE_CHARS_MAX = 240;
const CHARS_BEFORE_MATCH = 80;

/** What a search has found so far. */
interface Findings {
  readonly lines: string[];
  bytes: number;
  hits: number;
  files: number;
  searched: number;
  skipped: number;
  /** Why it stopped before the last file; `""` when it did not. */
  stopped: string;
}

/** Lines that match, as `path:line: text`, then the counts and, when it applies, which limit ended the search. */
export function searchFiles(args: SearchArgs, host: FilesHost): string {
  const path = toCanonicalPath(args.path ?? "/shared");
  const matcher = toMatcher(args);
  const resultsMax = args.max_results ?? RESULTS_DEFAULT;
  const found: Findings = {
    lines: [],
    bytes: 0,
    hits: 0,
    files: 0,
    searched: 0,
    skipped: 0,
    stopped: "",
  };
  for (let cursor = ""; found.stopped === "";) {
    const page = scanNext(host, path, args.glob ?? "", cursor, found);
    if (page === undefined) break;
    found.skipped += page.skipped;
    for (const file of page.files) {
      found.searched++;
      const hits = findHits(file.text, matcher, resultsMax - found.hits + 1);
      if (hits.length === 0) continue;
      found.files++;
      addFile(found, file.path, file.text, hits, args.context ?? 0, resultsMax);
      if (found.stopped !== "") break;
    }
    if (page.next === "") break;
    cursor = page.next;
  }
  found.lines.push(toSummary(found, args, path));
  return found.lines.join("\n");
}

/** A limit of the host in mid-search keeps what was found; on the first page it is the caller's failure, or `path` is a file. */
function scanNext(
  host: FilesHost,
  path: string,
  glob: string,
  cursor: string,
  found: Findings,
): HostPage | undefined {
  try {
    return host.read.scan(path, glob, cursor);
  } catch (error) {
    if (cursor === "") return scanOneFile(host, path, error);
    found.stopped = toFailure(error).message;
    return undefined;
  }
}

/** A scan refuses a path that is no folder; when it can be read as a file instead, that is what was meant. */
function scanOneFile(
  host: FilesHost,
  path: string,
  refusal: unknown,
): HostPage {
  if (toFailure(refusal).code !== "path_invalid") throw refusal;
  try {
    return {
      files: [{ path, text: host.read.readText(path).text }],
      next: "",
      skipped: 0,
    };
  } catch {
    throw refusal;
  }
}

function addFile(
  found: Findings,
  path: string,
  text: string,
  hits: readonly Hit[],
  context: number,
  resultsMax: number,
): void {
  const lines = context > 0 ? text.split("\n") : [];
  let shown = 0;
  for (const [index, hit] of hits.entries()) {
    if (found.hits >= resultsMax) {
      found.stopped = `max_results (${resultsMax}) reached`;
      return;
    }
    const block = context > 0
      ? toBlock(
        path,
        lines,
        hit,
        context,
        shown,
        hits[index + 1]?.line ?? Infinity,
      )
      : [toHitLine(path, text, hit)];
    const bytes = block.reduce((sum, line) => sum + utf8Bytes(line) + 1, 0);
    if (found.bytes + bytes > OUTPUT_BYTES_MAX) {
      found.stopped = "the output is full: narrow it with path, glob or pattern";
      return;
    }
    found.bytes += bytes;
    found.hits++;
    found.lines.push(...block);
    shown = hit.line + context;
  }
}

/** A hit with its lines around it. Lines that an earlier hit has shown, and lines of the next hit, are left out. */
function toBlock(
  path: string,
  lines: readonly string[],
  hit: Hit,
  context: number,
  shown: number,
  next: number,
): string[] {
  const block: string[] = [];
  const first = Math.max(1, hit.line - context, shown + 1);
  if (shown > 0 && first > shown + 1) block.push("--");
  const last = Math.min(lines.length, hit.line + context, next - 1);
  for (let line = Math.min(first, hit.line); line <= last; line++) {
    const text = lines[line - 1]!;
    const mark = line === hit.line ? ":" : "-";
    block.push(
      `${path}${mark}${line}${mark} ${toExcerpt(text, line === hit.line ? hit.at - hit.start : 0)}`,
    );
  }
  return block;
}

function toHitLine(path: string, text: string, hit: Hit): string {
  return `${path}:${hit.line}: ${toExcerpt(text.slice(hit.start, hit.end), hit.at - hit.start)}`;
}

/** The line, without its carriage return, or the part of it around `at`. */
function toExcerpt(line: string, at: number): string {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (text.length <= LINE_CHARS_MAX) return text;
  const start = snap(
    text,
    Math.min(
      Math.max(0, at - CHARS_BEFORE_MATCH),
      text.length - LINE_CHARS_MAX,
    ),
  );
  const end = snap(text, Math.min(text.length, start + LINE_CHARS_MAX));
  return `${start > 0 ? "…" : ""}${text.slice(start, end)}${end < text.length ? "…" : ""}`;
}

/** Moves a cut that would split a surrogate pair. */
function snap(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return at > 0 && unit >= 0xdc00 && unit < 0xe000 ? at - 1 : at;
}

function toSummary(found: Findings, args: SearchArgs, path: string): string {
  const below = args.glob === undefined ? path : `${path} matching ${args.glob}`;
  const searched = `${plural(found.searched, "file")} searched below ${below}`;
  const skipped = found.skipped > 0 ? `; ${found.skipped} skipped (binary, too large or unreadable)` : "";
  const stopped = found.stopped === "" ? "" : `; stopped early: ${found.stopped}`;
  if (found.hits === 0) {
    const literal = args.regex !== true &&
      /\\[wdsb.]|\.[*+]|[|^$]/.test(args.pattern);
    const hint = literal ? "; the pattern was taken literally: set regex for a regular expression" : "";
    return `[no match; ${searched}${skipped}${stopped}${hint}]`;
  }
  return `[${plural(found.hits, "matching line")} in ${plural(found.files, "file")}; ${searched}${skipped}${stopped}]`;
}
