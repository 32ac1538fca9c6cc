import type { Decision, Outcome, ToolIdentity } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { cutBytes } from "#/lib/cut_bytes.ts";
import { toKnownScrubber } from "#/lib/known_scrubber.ts";
import type { Secrets } from "#/sandbox/secrets.ts";

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

/** A call that ran: its text without host paths and secrets, at most `toolOutputBytesMax`. */
export function toOutcome(
  tool: ToolIdentity,
  decision: Decision,
  reply: ToolReply,
  scrub: (text: string) => string,
): Outcome {
  const text = cutBytes(scrub(reply.text), LIMITS.toolOutputBytesMax);
  const { outputBytes } = reply;
  const base = { tool, decision, text, outputBytes, elapsedMs: Math.max(0, Math.round(reply.elapsedMs)) };
  if (reply.ok) return { kind: "ok", ...base };
  return { kind: "failed", code: reply.code === "ok" ? "tool_failed" : reply.code, ...base };
}

/**
 * Takes host paths and secrets out of texts, in whatever form they stand there. Both in one pass, so that neither cuts the other. Paths
 * not at word borders only: a path that merely begins like a root still tells where the root lies.
 */
export function toScrubber(replacements: readonly Replacement[], secrets: Secrets["values"]): (text: string) => string {
  const paths = replacements.filter(({ host, virtual }) => host.length > 1 && host !== virtual)
    .map(({ host, virtual }) => ({ value: host, mark: virtual }));
  return toKnownScrubber(secrets.map(({ name, value }) => ({ name, value: value.reveal() })), paths).scrub;
}
