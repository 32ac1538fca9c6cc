import fs from "node:fs";
import { z } from "zod";
import type { ApprovalCard } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { ApprovalCardShape } from "#/sandbox/call_frames.ts";
import { toFileError } from "#/sandbox/file_error.ts";

const Time = z.number().int().nonnegative();

/** An answer that waits for its call, or stands for equal calls. */
const Standing = z.strictObject({
  key: z.string(),
  answer: z.enum(["once", "session", "until", "no", "never"]),
  by: z.enum(["owner", "relayed", "silence"]),
  /** `once`, `no`: of this very call. `session`: of this session. */
  session: z.string().exactOptional(),
  turn: z.string().exactOptional(),
  callId: z.string().exactOptional(),
  until: Time.exactOptional(),
  /** The call in words, for the person. */
  what: z.string().exactOptional(),
  at: Time,
});
/** One of them. */
export type Standing = z.infer<typeof Standing>;

/** What the runner remembers of approvals over a restart. */
export const ApprovalState = z.strictObject({
  v: z.literal(1),
  pending: z.array(ApprovalCardShape),
  standing: z.array(Standing),
  /** Sessions that have seen something private. */
  private: z.array(z.string()),
});
export type ApprovalState = z.infer<typeof ApprovalState>;

const EMPTY: ApprovalState = { v: 1, pending: [], standing: [], private: [] };

/** Reads the state from a file that only the runner writes, and changes nothing. Undefined for one that is damaged. */
export function peekApprovals(path: string): ApprovalState | undefined {
  let text: string;
  try {
    // A pipe in its place would hold this process for ever.
    if (!fs.statSync(path).isFile()) return undefined;
    text = fs.readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return EMPTY;
    throw error;
  }
  try {
    return ApprovalState.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * Reads the state for whoever will write it. A damaged file is set aside as `<path>.damaged` and nothing is remembered: every answer is
 * asked for again, and every session counts as private (`isWhole` is false).
 */
export function readApprovals(path: string): { readonly state: ApprovalState; readonly isWhole: boolean } {
  const state = peekApprovals(path);
  if (state === undefined) fs.renameSync(path, `${path}.damaged`);
  return { state: state ?? EMPTY, isWhole: state !== undefined };
}

/**
 * Writes the state: a new file and a rename, so that a crash leaves the one or the other. Throws AppError as `toFileError`,
 * `quota_exceeded` for a full disk; then the old state stays, and nothing beside it.
 */
export function writeApprovals(path: string, state: ApprovalState): void {
  const text = JSON.stringify(state);
  if (text.length > LIMITS.approvalsBytesMax) throw new RangeError(`approvals of ${text.length} characters`);
  const temporary = `${path}.new`;
  try {
    fs.rmSync(temporary, { force: true });
    writeNew(temporary, text);
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw toFileError(error, "the list of approvals");
  }
}

function writeNew(path: string, text: string): void {
  const file = fs.openSync(path, "wx", 0o600);
  try {
    // All of it or an error; one call of `writeSync` may write less.
    fs.writeFileSync(file, text);
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** True when the standing answer is for this card's call at this time. Pure. */
export function appliesTo(
  standing: Standing,
  card: Pick<ApprovalCard, "key" | "session" | "turn" | "callId">,
  now: number,
) {
  if (standing.key !== card.key) return false;
  switch (standing.answer) {
    case "once":
    case "no":
      return standing.session === card.session && standing.turn === card.turn && standing.callId === card.callId;
    case "session":
      return standing.session === card.session;
    case "until":
      return now < standing.until!;
    case "never":
      return true;
  }
}
