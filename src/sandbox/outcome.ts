import type { Decision, Outcome, ToolIdentity } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** A host path and what a model reads in its place. */
export interface Replacement {
  readonly host: string;
  readonly virtual: string;
}

/** What a run of a tool gave, as its child pool reports it. */
export interface ToolReply {
  readonly ok: boolean;
  readonly code: ErrorCode | "ok";
  readonly text: string;
  /** Size of the output before any cut. */
  readonly outputBytes: number;
  readonly elapsedMs: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A call that did not run. */
export function toRefusal(
  tool: ToolIdentity,
  refusal: Pick<Outcome, "text" | "decision" | "card"> & {
    kind: "failed" | "denied" | "ask";
    code: ErrorCode;
    elapsedMs?: number;
  },
): Outcome {
  return { elapsedMs: 0, ...refusal, tool, outputBytes: encoder.encode(refusal.text).length };
}

/** A call that ran: its text without host paths, at most `toolOutputBytesMax`. */
export function toOutcome(
  tool: ToolIdentity,
  decision: Decision,
  reply: ToolReply,
  scrub: (text: string) => string,
): Outcome {
  const text = cutBytes(scrub(reply.text), LIMITS.toolOutputBytesMax);
  const base = {
    tool,
    decision,
    text,
    outputBytes: reply.outputBytes,
    elapsedMs: Math.max(0, Math.round(reply.elapsedMs)),
  };
  if (reply.ok) return { kind: "ok", ...base };
  return { kind: "failed", code: reply.code === "ok" ? "tool_failed" : reply.code, ...base };
}

/**
 * Replaces host paths, the longest first, also in their form inside a URL. Not at word borders only: a path that merely begins
 * like a root still tells where the root lies.
 */
export function toScrubber(replacements: readonly Replacement[]): (text: string) => string {
  const pairs = replacements
    .filter(({ host, virtual }) => host.length > 1 && host !== virtual)
    .flatMap(({ host, virtual }) => [[host, virtual], [encodeURI(host), virtual]] as const)
    .sort(([a], [b]) => b.length - a.length);
  return (text) => pairs.reduce((clean, [host, virtual]) => clean.replaceAll(host, virtual), text);
}

/** The longest start of the text that is at most `bytesMax` in UTF-8. */
export function cutBytes(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = encoder.encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return decoder.decode(bytes.subarray(0, end));
}
