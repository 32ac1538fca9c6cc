import type { AuditHead } from "#/core/audit.ts";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { type ChainedEntry, parseChainedLine, sha256Of } from "#/lib/chained_line.ts";
import { AUDIT_ROOT } from "#/sandbox/audit.ts";

/** A segment to be read: its number, its name, and its bytes in chunks. */
export interface AuditSegment {
  readonly segment: number;
  readonly name: string;
  readonly chunks: Iterable<Uint8Array>;
}

/** A head that an event names. */
export interface KnownHead extends AuditHead {
  /** Which turn named it. */
  readonly turn: string;
}

/** The first thing that is wrong with a log. */
export interface AuditBreak {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** As the entry says, else what it should have been. */
  readonly seq: number;
  readonly what:
    | "unparsable"
    | "half_line"
    | "torn_gone"
    | "line_too_long"
    | "bad_hash"
    | "wrong_prev"
    | "missing_seq"
    | "missing_segment"
    | "start_unexplained"
    | "tail_cut"
    | "chain_rewritten";
  /** A sentence for the person. */
  readonly why: string;
}

/** What a look at a whole log found. `headsCompared` of the known heads lie in what is kept of the log. */
export interface AuditVerdict {
  readonly entries: number;
  readonly segments: number;
  readonly headsCompared: number;
  /** Half lines of crashes that a later entry names. */
  readonly tornLines: number;
  /** More than 1 when older segments went. */
  readonly firstSeq: number;
  readonly head: AuditHead;
  /** Absent when the log is whole. */
  readonly broken?: AuditBreak;
}

/**
 * Follows the chain through all segments, given in ascending order, and compares it with the heads that events name. Stops at the first
 * broken entry. Pure over its input; holds one line and the heads, whatever the size of the log.
 * Without heads a cut tail and a chain that was made anew cannot be seen.
 */
export function verifyAudit(segments: Iterable<AuditSegment>, heads: readonly KnownHead[]): AuditVerdict {
  const check = new Check(heads);
  for (const segment of segments) {
    if (!check.begin(segment)) break;
    if (!readLines(segment.chunks, LIMITS.auditTornBytesMax, (line, kind) => check.line(line, kind))) break;
  }
  return check.end();
}

type LineKind = "whole" | "unended" | "too_long";

/** Calls `take` with each line until it says no; then false. A line over `bytesMax` is given cut, and nothing after it. */
export function readLines(
  chunks: Iterable<Uint8Array>,
  bytesMax: number,
  take: (line: Uint8Array, kind: LineKind) => boolean,
): boolean {
  let rest: Uint8Array = new Uint8Array(0);
  for (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      const line = concatBytes([rest, chunk.subarray(from, at)]);
      if (line.length > bytesMax) return take(line.subarray(0, bytesMax), "too_long") && false;
      if (!take(line, "whole")) return false;
      rest = new Uint8Array(0);
      from = at + 1;
    }
    rest = concatBytes([rest, chunk.subarray(from)]);
    if (rest.length > bytesMax) return take(rest.subarray(0, bytesMax), "too_long") && false;
  }
  return rest.length === 0 || take(rest, "unended");
}

/** Where the chain is, and what was found. */
class Check {
  readonly #heads = new Map<number, KnownHead[]>();
  readonly #counts = { entries: 0, segments: 0, headsCompared: 0, tornLines: 0 };
  #head: AuditHead | undefined;
  #file = "";
  #segment: number | undefined;
  #line = 0;
  /** Lines since the last entry that are no JSON: the next entry has to name them. */
  #torn: { readonly line: number; readonly lines: Uint8Array[]; bytes: number } | undefined;
  /** The first entry of a log whose beginning was dropped; a later entry has to name it. */
  #start: { readonly seq: number; readonly sha256: string; readonly file: string; readonly line: number } | undefined;
  #isExplained = false;
  #broken: AuditBreak | undefined;

  constructor(heads: readonly KnownHead[]) {
    // A guest may name one entry a hundred thousand times.
    for (const head of heads) {
      const same = this.#heads.get(head.seq);
      if (same === undefined) this.#heads.set(head.seq, [head]);
      else same.push(head);
    }
  }

  begin({ segment, name }: AuditSegment): boolean {
    if (!this.#isMended()) return false;
    const last = this.#segment;
    [this.#file, this.#line, this.#segment] = [name, 0, segment];
    this.#counts.segments++;
    if (last === undefined || segment === last + 1) return true;
    return this.#fail("missing_segment", "a segment before this one is gone");
  }

  line(line: Uint8Array, kind: LineKind): boolean {
    this.#line++;
    if (kind === "too_long") return this.#fail("line_too_long", "the line is longer than any entry");
    const entry = parseChainedLine(line);
    if (kind === "unended") {
      const why = "the line has no end: a crash leaves one, and the next start keeps it and says so";
      return this.#fail("half_line", why);
    }
    if (entry === "forged") return this.#fail("bad_hash", "the entry is not what its hash was made of");
    if (entry === "broken") return this.#keepTorn(line);
    return this.#names(entry) && this.#follows(entry);
  }

  end(): AuditVerdict {
    const head = this.#head ?? AUDIT_ROOT;
    if (this.#isMended() && this.#start !== undefined && this.#broken === undefined) this.#checkStart(this.#start);
    const beyond = [...this.#heads.keys()].filter((seq) => seq > head.seq).sort((a, b) => a - b)[0];
    if (beyond !== undefined) {
      const [known] = this.#heads.get(beyond)!;
      this.#fail("tail_cut", `turn ${known!.turn} names entry ${beyond}, and the log ends with entry ${head.seq}`);
    }
    const firstSeq = this.#start?.seq ?? 1;
    return { ...this.#counts, firstSeq, head, ...(this.#broken === undefined ? {} : { broken: this.#broken }) };
  }

  /** Whoever writes a whole chain may let it begin beyond all that turns know of, and say that the rest went by rule. */
  #checkStart(start: { readonly seq: number; readonly file: string; readonly line: number }): void {
    [this.#file, this.#line] = [start.file, start.line];
    const why = this.#isExplained ? "no turn knows anything of what is left" : "no entry says that older ones went";
    const isKnown = this.#heads.size === 0 || [...this.#heads.keys()].some((seq) => seq >= start.seq);
    if (!this.#isExplained || !isKnown) this.#fail("start_unexplained", `the log begins here, and ${why}`, start.seq);
  }

  /** The lines before this entry that are none are exactly those that it names. */
  #names(entry: ChainedEntry): boolean {
    const { torn } = entry as { torn?: { bytes?: unknown; sha256?: unknown } };
    if (this.#torn === undefined) {
      return torn === undefined ||
        this.#fail("torn_gone", "the half line before it, which it names, is gone", entry.seq);
    }
    const content = concatBytes(this.#torn.lines.flatMap((line, at) => at === 0 ? [line] : [NEWLINE, line]));
    if (torn?.bytes !== content.length || torn.sha256 !== sha256Of(content)) return this.#isMended();
    this.#counts.tornLines++;
    this.#torn = undefined;
    return true;
  }

  #follows(entry: ChainedEntry): boolean {
    const { seq, prev, sha256 } = entry;
    const last = this.#head ?? (seq === 1 ? AUDIT_ROOT : { seq: seq - 1, sha256: prev });
    if (this.#head === undefined && seq !== 1) this.#start = { seq, sha256, file: this.#file, line: this.#line };
    if (seq !== last.seq + 1) return this.#fail("missing_seq", `entry ${last.seq + 1} should be here`, seq);
    if (prev !== last.sha256) return this.#fail("wrong_prev", `it does not follow the entry before it`, seq);
    const { kind, firstSeq, firstSha256 } = entry;
    if (kind === "dropped" && firstSeq === this.#start?.seq && firstSha256 === this.#start?.sha256) {
      this.#isExplained = true;
    }
    this.#head = { seq, sha256 };
    this.#counts.entries++;
    return this.#agrees(this.#head);
  }

  #agrees({ seq, sha256 }: AuditHead): boolean {
    const known = this.#heads.get(seq) ?? [];
    this.#counts.headsCompared += known.length;
    const other = known.find((head) => head.sha256 !== sha256);
    if (other === undefined) return true;
    return this.#fail("chain_rewritten", `turn ${other.turn} saw another entry ${seq}: the chain was made anew`, seq);
  }

  #keepTorn(line: Uint8Array): boolean {
    this.#torn ??= { line: this.#line, lines: [], bytes: 0 };
    this.#torn.lines.push(line);
    this.#torn.bytes += line.length + 1;
    return this.#torn.bytes <= LIMITS.auditTornBytesMax || this.#isMended();
  }

  /** False, and the first of them broken, when lines that are no entries were not named by what follows. */
  #isMended(): boolean {
    if (this.#torn === undefined) return true;
    this.#line = this.#torn.line;
    return this.#fail("unparsable", "the line is no entry, and the next one does not say that a crash left it");
  }

  /** The first of them stays. */
  #fail(what: AuditBreak["what"], why: string, seq: number = (this.#head?.seq ?? 0) + 1): false {
    this.#broken ??= { file: this.#file, line: this.#line, seq, what, why };
    return false;
  }
}

const NEWLINE = new Uint8Array([10]);
