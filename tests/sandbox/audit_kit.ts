/** A log in a fresh folder, entries to put into it, and segments as a reader gets them. */
import { join } from "node:path";
import type { AuditFields, AuditHead } from "#/core/audit.ts";
import { type ChainedEntry, parseChainedLine, toChainedLine } from "#/lib/chained_line.ts";
import { type Audit, type AuditOptions, openAudit } from "#/sandbox/audit.ts";
import { type AuditSegment, type AuditVerdict, type KnownHead, verifyAudit } from "#/sandbox/audit_verify.ts";

export const OPENED: AuditFields["opened"] = { version: "1.2.3", policyDigest: "d".repeat(64) };

/** A call that was let through. */
export function decisionOf(overrides: Partial<AuditFields["decision"]> = {}): AuditFields["decision"] {
  return {
    user: "default",
    agent: ["default"],
    origin: "channel",
    session: "runtime-default",
    turn: "t1",
    callId: "c1",
    tool: { name: "file_read", package: "files", version: "1.0.0", sha256: "a".repeat(64) },
    argsSha256: "b".repeat(64),
    decision: "granted",
    source: "default:fs.read",
    policyDigest: "d".repeat(64),
    capabilities: ["fs.read /shared/a.txt"],
    grant: "g1",
    ...overrides,
  };
}

/** What came of it. */
export function outcomeOf(overrides: Partial<AuditFields["outcome"]> = {}): AuditFields["outcome"] {
  const { tool, session, turn, callId, grant } = decisionOf();
  return {
    tool,
    session: session!,
    turn: turn!,
    callId: callId!,
    grant: grant!,
    code: "ok",
    outputBytes: 18,
    elapsedMs: 4,
    ...overrides,
  };
}

/** A fresh folder that does not exist yet. */
export function freshDir(): string {
  return join(Deno.realPathSync(Deno.makeTempDirSync({ prefix: "oxydra-audit-" })), "audit");
}

/** Opens a log whose clock counts. */
export function openLog(dir: string, options: Partial<AuditOptions> = {}): Audit {
  let at = 1_700_000_000_000;
  return openAudit({ dir, now: () => ++at, opened: OPENED, ...options });
}

/** Opens a log, writes `pairs` calls and closes it; the head after each of them. */
export function writeLog(dir: string, pairs: number, options: Partial<AuditOptions> = {}): AuditHead[] {
  const audit = openLog(dir, options);
  const heads = Array.from({ length: pairs }, (_, i) => {
    audit.append("decision", decisionOf({ callId: `c${i}`, turn: `t${i}` }));
    return audit.append("outcome", outcomeOf({ callId: `c${i}`, turn: `t${i}` }));
  });
  audit.close();
  return heads;
}

/** Names of the segments, ascending. */
export function segmentsIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => name.endsWith(".jsonl")).sort();
}

/** The segments of a folder in memory. */
export function load(dir: string): AuditSegment[] {
  return segmentsIn(dir).map((name) => toSegment(name, Deno.readFileSync(join(dir, name))));
}

/** Bytes as a segment, in small chunks so that lines lie across their borders. */
export function toSegment(name: string, bytes: Uint8Array, chunkBytes = 97): AuditSegment {
  const chunks = function* () {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  };
  return { segment: Number(/\d+/.exec(name)![0]), name, chunks: { [Symbol.iterator]: chunks } };
}

/** What a reader says to a folder. */
export function verify(dir: string, heads: readonly AuditHead[] = []): AuditVerdict {
  return verifyAudit(load(dir), toKnown(heads));
}

/** Heads as turns name them. */
export function toKnown(heads: readonly AuditHead[]): KnownHead[] {
  return heads.map((head, i) => ({ ...head, turn: `t${i}` }));
}

/** The entries of a folder, segment after segment; half lines are passed over. */
export function entriesIn(dir: string): ChainedEntry[] {
  const lines = segmentsIn(dir).flatMap((name) => Deno.readTextFileSync(join(dir, name)).split("\n"));
  return lines.map((line) => parseChainedLine(new TextEncoder().encode(line))).filter((entry) =>
    typeof entry === "object"
  );
}

/** The same entries as a chain of their own: what an attacker writes who can compute every hash. */
export function rechain(entries: readonly ChainedEntry[]): string {
  let prev = "0".repeat(64);
  return entries.map((entry, i) => {
    const { line, sha256 } = toChainedLine({ ...entry, seq: i + 1, prev });
    prev = sha256;
    return `${line}\n`;
  }).join("");
}
