import { AppError, type ErrorCode } from "#/core/error.ts";
import type { Outcome } from "#/core/capability.ts";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { CheckedCall } from "#/turn/check_call.ts";
import { toResultText } from "#/turn/result_text.ts";
import type { CallEnd } from "#/turn/running_call.ts";
import { scrubSecrets } from "#/turn/scrub.ts";

/** What became of a call, before it is cut to what the model sees. */
export interface CallReport {
  readonly code: ErrorCode | "ok";
  readonly text: string;
  /** Size of the output before any cut. */
  readonly outputBytes: number;
  readonly elapsedMs: number;
  readonly auditHead?: Outcome["auditHead"];
}

/**
 * Puts the end of a call into words for the model. A broken link to the runner is a failed call, too: the model may try something else.
 * Throws what is not an AppError: a programmer error.
 */
export function toReport(call: CheckedCall, end: CallEnd, elapsedMs: number): CallReport {
  switch (end.kind) {
    case "outcome":
      return fromOutcome(end.outcome);
    case "not_started":
      return toCancelled("Cancelled before it started.", elapsedMs);
    case "lost":
      return toCancelled("Cancelled. Whether it took effect is unknown: check before you do it again.", elapsedMs);
    case "threw":
      // Without a runner the turn cannot be told what became of the call: it is asked for again when there is one.
      if (!(end.error instanceof AppError) || end.error.code === "tool_interrupted") throw end.error;
      if (end.error.code !== "cancelled") {
        return { code: end.error.code, text: end.error.message, outputBytes: 0, elapsedMs };
      }
      return toCancelled(
        call.effect === "read_only"
          ? "Cancelled before it finished."
          : "Cancelled before it finished. Whether it took effect is unknown: check before you do it again.",
        elapsedMs,
      );
  }
}

function toCancelled(text: string, elapsedMs: number): CallReport {
  return { code: "cancelled", text, outputBytes: 0, elapsedMs };
}

function fromOutcome(outcome: Outcome): CallReport {
  const { text, outputBytes, elapsedMs, auditHead } = outcome;
  const code = outcome.kind === "ok"
    ? "ok"
    : outcome.code ?? (outcome.kind === "failed" ? "tool_failed" : "tool_denied");
  return { code, text, outputBytes, elapsedMs, auditHead };
}

/**
 * The durable result of a call: the text that the model sees, and the whole output as a blob when that is only a part of it. Neither
 * holds what looks like a secret; `outputBytes` stays the tool's own count.
 */
export async function toResultEvent(
  call: CheckedCall,
  report: CallReport,
): Promise<Extract<NewEvent, { type: "tool_result" }>> {
  const { code, outputBytes, elapsedMs, auditHead } = report;
  const { text, truncated, full } = toResultText(
    // Before it is cut: a secret at the cut would no longer look like one.
    scrubSecrets(report.text).text,
    outputBytes,
    LIMITS.toolResultBytesMax,
  );
  const { id: callId, name: tool } = call.call;
  const payload = {
    callId,
    tool,
    ok: code === "ok",
    code,
    text,
    outputBytes,
    truncated,
    elapsedMs,
    ...(auditHead ? { auditHead } : {}),
  };
  if (full === undefined) return { type: "tool_result", v: 1, payload };
  const mimeType = "text/plain; charset=utf-8";
  const blob = { sha256: await sha256Hex(full), bytes: full.length, mimeType, content: full };
  return { type: "tool_result", v: 1, payload, blobs: [blob] };
}
