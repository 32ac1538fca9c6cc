import type { ToolIdentity, ToolRequest } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { type ChainedEntry, parseChainedLine } from "#/lib/chained_line.ts";
import { Slice } from "#/lib/slice.ts";
import { toAuditText } from "#/sandbox/audit.ts";
import { listSegments, openSegment, readSegment } from "#/sandbox/audit_segment.ts";

/** What an audit log says of one call: that it never began, how it ended, or that nobody knows. */
export type CallTrace =
  | { readonly kind: "none" }
  | {
    readonly kind: "ended" | "open";
    readonly tool: ToolIdentity;
    readonly argsSha256: string;
    /** Of the outcome. */
    readonly code: ErrorCode | "ok";
  }
  /** The log is damaged there, or reaches further back than was read. */
  | { readonly kind: "unknown" };

/** What is read of the log at once. */
const BLOCK_BYTES = 1_048_576;

/**
 * Looks a call up in the audit log of `dir`, from the newest entry back, over at most `bytesMax`. A grant without an outcome behind it is
 * `open`, also where redirects of the call were denied after it; a call that was denied, or asked about, never began.
 */
export async function traceCall(
  dir: string,
  call: Pick<ToolRequest, "session" | "turn" | "callId">,
  bytesMax: number = LIMITS.auditLookBytesMax,
): Promise<CallTrace> {
  const needle = JSON.stringify(toAuditText(call.callId));
  const decoder = new TextDecoder();
  let isWhole = true;
  for await (const block of readBack(dir, bytesMax)) {
    isWhole = block.isFirst;
    const text = decoder.decode(block.bytes);
    if (!text.includes(needle)) continue;
    for (const line of text.split("\n").reverse()) {
      if (!line.includes(needle)) continue;
      const found = judge(parseChainedLine(new TextEncoder().encode(line)), call);
      if (found !== undefined) return found;
    }
  }
  return { kind: isWhole ? "none" : "unknown" };
}

function judge(
  entry: ChainedEntry | string,
  call: Pick<ToolRequest, "session" | "turn" | "callId">,
): CallTrace | undefined {
  // Half a line is what a crash leaves of an entry: before a decision is whole, nothing runs, and an outcome is not known.
  if (typeof entry === "string") return entry === "forged" ? { kind: "unknown" } : undefined;
  const isOf = (["session", "turn", "callId"] as const).every((name) => entry[name] === toAuditText(call[name]));
  if (!isOf) return undefined;
  const { kind, decision, grant, tool, argsSha256, code } = entry as unknown as {
    [name: string]: string;
    tool: ToolIdentity & string;
    code: (ErrorCode | "ok") & string;
  };
  if (kind === "outcome") return grant === undefined ? { kind: "none" } : { kind: "ended", tool, argsSha256: "", code };
  if (kind !== "decision" || decision !== "granted") return undefined;
  return { kind: "open", tool, argsSha256: argsSha256 ?? "", code: "ok" };
}

/** Whole lines of the log, the newest block first. `isFirst`: the log has nothing before it. */
async function* readBack(dir: string, bytesMax: number): AsyncGenerator<{ bytes: Uint8Array; isFirst: boolean }> {
  const slice = new Slice();
  let left = bytesMax;
  for (const segment of listSegments(dir).reverse()) {
    using file = openSegment(dir, segment);
    let rest: Uint8Array = new Uint8Array(0);
    for (let end = file.size; end > 0;) {
      if (left <= 0) return yield { bytes: new Uint8Array(0), isFirst: false };
      const start = Math.max(0, end - Math.min(BLOCK_BYTES, left));
      const bytes = concatBytes([readSegment(file, start, end), rest]);
      const cut = start === 0 ? 0 : bytes.indexOf(10) + 1;
      yield { bytes: bytes.subarray(cut), isFirst: start === 0 && segment === 1 };
      rest = bytes.subarray(0, cut);
      left -= end - start;
      end = start;
      if (slice.used) await slice.pause();
    }
  }
}
