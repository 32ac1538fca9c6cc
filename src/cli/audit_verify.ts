import { AppError } from "#/core/error.ts";
import { toOneLine, toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { type AuditVerdict, type KnownHead, verifyAudit } from "#/sandbox/audit_verify.ts";
import type { Loaded } from "#/config/load.ts";
import { resolveUser } from "#/config/user.ts";
import { readAuditSegments, readHeads, unreadable } from "#/cli/audit_log.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";
import { requireLocalLog } from "#/cli/read_log.ts";
import { toCount } from "#/cli/wording.ts";

/**
 * Follows the audit log's chain and compares it with the heads in the event log. Exit 0 when it is whole or there is none yet, 1 with the
 * first broken entry. Throws AppError `audit_failed` for a folder that is no audit log.
 */
export async function runAuditVerify(options: JsonOptions): Promise<number> {
  const loaded = await loadFor(options);
  const { audit, internal } = resolveUser(loaded).folders;
  const { heads, trouble } = await tryHeads(loaded, internal);
  const verdict = verifyLive(audit, heads);
  const ok = verdict.broken === undefined && trouble === undefined;
  if (options.json) console.log(toPrintableJson({ ok, ...verdict, headsTrouble: trouble ?? null }, 2));
  else console.log(toPrintable(toText(verdict, audit)));
  if (trouble !== undefined && !options.json) console.log(toPrintable(`✗ ${trouble}`));
  return ok ? EXIT.done : EXIT.internal;
}

/** The chain itself can be checked without them. */
async function tryHeads(
  loaded: Loaded,
  internalDir: string,
): Promise<{ heads: readonly KnownHead[]; trouble?: string }> {
  try {
    // Before the log is read: a head that comes later may be of an entry that was not there yet.
    requireLocalLog(loaded, unreadable);
    return { heads: await readHeads(internalDir) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { heads: [], trouble: error.message };
  }
}

/** A runner may be in the middle of a line, or of dropping a segment: what only looked so is whole the next time. */
function verifyLive(dir: string, heads: readonly KnownHead[]): AuditVerdict {
  try {
    const verdict = verifyAudit(readAuditSegments(dir), heads);
    if (verdict.broken?.what !== "half_line") return verdict;
  } catch (error) {
    if (error instanceof AppError) throw error;
  }
  return verifyAudit(readAuditSegments(dir), heads);
}

function toText(verdict: AuditVerdict, dir: string): string {
  const { entries, segments, headsCompared, tornLines, firstSeq, head, broken } = verdict;
  if (broken !== undefined) {
    const place = broken.file === "" ? dir : `${broken.file}, line ${broken.line}`;
    return [
      `✗ the audit log is broken at entry ${broken.seq} (${place}): ${toOneLine(broken.why, 600)} [${broken.what}]`,
      `  ${toCount(entries, "entry", "entries")} before it ${entries === 1 ? "is" : "are"} whole`,
    ].join("\n");
  }
  if (entries === 0) return `there is no audit log yet in ${dir}`;
  const log = `${toCount(entries, "entry", "entries")} in ${toCount(segments, "segment")}`;
  return [
    `✓ the audit log is whole: ${log}, ${toCount(headsCompared, "head")} of turns compared`,
    ...(tornLines === 0 ? [] : [`  ${toCount(tornLines, "half line")} of crashes, kept and named`]),
    ...(firstSeq === 1 ? [] : [`  it begins with entry ${firstSeq}: older ones went when the log was full`]),
    `  head ${head.seq} ${head.sha256}`,
  ].join("\n");
}
