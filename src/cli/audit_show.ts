import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { type ChainedEntry, parseChainedLine } from "#/lib/chained_line.ts";
import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import { readLines } from "#/sandbox/audit_verify.ts";
import { findFolders, readAuditSegments } from "#/cli/audit_log.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";

/** What `audit show` prints. */
export interface AuditShowOptions extends JsonOptions {
  readonly turn?: string;
  readonly session?: string;
  readonly tool?: string;
  readonly denied?: boolean;
  /** Decimal digits. */
  readonly last: string;
}

/** Prints the newest entries that the flags ask for, the oldest of them first. Throws AppError `usage`, and `audit_failed` for what is no audit log. */
export async function runAuditShow(options: AuditShowOptions): Promise<number> {
  const last = Number(options.last);
  if (!/^\d+$/.test(options.last) || last < 1 || last > LIMITS.auditShownMax) {
    throw new AppError("usage", `--last: a number from 1 to ${LIMITS.auditShownMax}`);
  }
  const { audit } = await findFolders(options);
  const { kept, total } = collect(audit, last, (entry) => isWanted(entry, options));
  for (const entry of kept) console.log(options.json ? toPrintableJson(entry) : toRow(entry));
  if (kept.length === 0 && !options.json) {
    console.log(total === 0 ? toOneLine(`there is no audit log yet in ${audit}`, 4_096) : `none of ${total} entries`);
  }
  return EXIT.done;
}

/** A line that is no entry is shown as what it is, whatever is asked for. */
interface NoEntry {
  readonly noEntry: string;
}

function collect(dir: string, last: number, wanted: (entry: ChainedEntry) => boolean) {
  const kept: (ChainedEntry | NoEntry)[] = [];
  let total = 0;
  for (const { name, chunks } of readAuditSegments(dir)) {
    let line = 0;
    readLines(chunks, LIMITS.auditTornBytesMax, (bytes) => {
      line++;
      total++;
      const entry = parseChainedLine(bytes);
      if (typeof entry === "string") kept.push({ noEntry: `${name}, line ${line}` });
      else if (wanted(entry)) kept.push(entry);
      if (kept.length > 2 * last) kept.splice(0, kept.length - last);
      return true;
    });
  }
  return { kept: kept.slice(-last), total };
}

function isWanted(entry: ChainedEntry, { turn, session, tool, denied }: AuditShowOptions): boolean {
  return (turn === undefined || entry.turn === turn) &&
    (session === undefined || entry.session === session) &&
    (tool === undefined || toolOf(entry) === tool) &&
    (!denied || entry.decision === "denied" || entry.code === "tool_denied");
}

/** One line: when, which, what kind, what of it, and which call. */
function toRow(entry: ChainedEntry | NoEntry): string {
  if ("noEntry" in entry) return `?  ${entry.noEntry} is no entry: look with \`oxydra audit verify\``;
  const { session, turn, callId, torn } = entry;
  const cells = [
    ...toWords(entry),
    ...Object.entries({ session, turn, call: callId }).flatMap(([label, id]) =>
      id === undefined ? [] : [`${label} ${id}`]
    ),
    ...(torn === undefined ? [] : ["after a half line of a crash"]),
  ];
  const words = cells.map((cell) => toOneLine(cell, LIMITS.auditFieldCharsMax)).filter((cell) => cell !== "");
  const kind = toOneLine(String(entry.kind), 20);
  return [toLocalTime(entry.at), String(entry.seq).padStart(6), kind.padEnd(8), ...words].join("  ");
}

/** What an entry says, in the order of its columns. Read as a stranger's: any member may be missing or of another type. */
function toWords(entry: ChainedEntry): string[] {
  const text = (name: string, before = "", after = "") =>
    entry[name] === undefined ? "" : `${before}${entry[name]}${after}`;
  const capabilities = Array.isArray(entry.capabilities) ? entry.capabilities.join(", ") : "";
  switch (entry.kind) {
    case "opened":
      return [text("version", "oxydra "), text("policyDigest", "policy ").slice(0, 19)];
    case "decision":
      return [text("decision"), toolOf(entry), capabilities, text("source", "by ")];
    case "outcome":
      return [
        text("code"),
        toolOf(entry),
        text("outputBytes", "", " bytes out"),
        text("elapsedMs", "", " ms"),
      ];
    case "approval":
      return [text("state"), text("answer"), text("by", "by "), toolOf(entry), capabilities];
    case "notice":
      return [text("from", "from "), text("code"), text("subject")];
    case "rotated":
      return [text("segment", "after ")];
    case "dropped":
      return [text("lastSegment", "older entries, up to "), text("firstSeq", "the log begins with ")];
    default:
      return [];
  }
}

function toolOf({ tool }: ChainedEntry): string {
  return typeof tool === "object" && tool !== null && "name" in tool ? String(tool.name) : "";
}

/** ISO 8601 in the time zone of this machine, to the millisecond; the number itself when it is no time. */
function toLocalTime(at: number): string {
  if (Math.abs(at) > 8e15) return String(at);
  const timeZone = Temporal.Now.timeZoneId();
  return Temporal.Instant.fromEpochMilliseconds(at).toString({ timeZone, smallestUnit: "millisecond" });
}
