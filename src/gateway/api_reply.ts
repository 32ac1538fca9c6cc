import type { ApprovalCard } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { SessionEvent } from "#/core/event.ts";
import type { Usage } from "#/core/message.ts";
import { ReplyText } from "#/gateway/reply_text.ts";
import type { WireApproval } from "#/gateway/server_frame.ts";
import { toWireApproval } from "#/gateway/turn_frames.ts";

/** How an answer of the API ended. */
export interface ReplyEnd {
  readonly finish: "stop" | "length" | "content_filter";
  readonly usage: Usage;
  /** All that was said, approvals included. */
  readonly text: string;
  /** What a person has to answer before the turn goes on; then it is not over. */
  readonly approvals: readonly WireApproval[];
  /** Of the event that ended or parked the turn; 0 when that was not recorded. */
  readonly seq: number;
}

/** A piece of an answer; the last one is its end. */
export type Piece = { readonly text: string } | { readonly end: ReplyEnd };

/**
 * An answer from the events of its turn. A turn that waits for an approval ends it with a text that says so: nobody keeps a request open for
 * as long as a person may think. Throws AppError with the code of a turn that failed, `cancelled` for one that was; both with `retry`
 * false: what the turn did is done, and clients that repeat a failed request by themselves would do it twice.
 */
export async function* toPieces(events: AsyncIterable<SessionEvent>): AsyncGenerator<Piece, void, void> {
  const reply = new ReplyText();
  const open = new Map<string, ApprovalCard>();
  let text = "";
  let parkedSeq: number | undefined;
  for await (const event of begunOnce(events)) {
    const shown = reply.take(event);
    text += shown;
    if (shown !== "") yield { text: shown };
    if (event.type === "approval_asked") open.set(event.payload.callId, event.payload.card as ApprovalCard);
    if (event.type === "tool_result") open.delete(event.payload.callId);
    if (event.type === "turn_failed") throw ended(event.payload.code, event.payload.message);
    if (event.type === "turn_cancelled") throw ended("cancelled", `the turn was cancelled: ${event.payload.reason}`);
    if (event.type === "turn_done") {
      const { usage, finishReason } = event.payload;
      return yield { end: { finish: toFinish(finishReason), usage, text, approvals: [], seq: event.seq } };
    }
    parkedSeq = event.type === "parked" ? event.seq : undefined;
  }
  if (parkedSeq === undefined) throw ended("cancelled", "the request ended before its turn");
  const approvals = [...open.values()].map(toWireApproval);
  const asked = (text === "" ? "" : "\n\n") + toApprovalText(approvals);
  yield { text: asked };
  yield { end: { finish: "stop", usage: {}, text: text + asked, approvals, seq: parkedSeq } };
}

/** What breaks off after the first event has begun, and may go on without its client: that is not to be repeated either. */
async function* begunOnce(events: AsyncIterable<SessionEvent>): AsyncGenerator<SessionEvent, void, void> {
  let hasBegun = false;
  try {
    for await (const event of events) {
      hasBegun = true;
      yield event;
    }
  } catch (error) {
    throw hasBegun && error instanceof AppError ? ended(error.code, error.message) : error;
  }
}

/** The whole answer. */
export async function toReply(pieces: AsyncIterable<Piece>): Promise<ReplyEnd> {
  for await (const piece of pieces) if ("end" in piece) return piece.end;
  throw new TypeError("an answer without an end");
}

function ended(code: AppError["code"], message: string): AppError {
  return new AppError(code, message, { params: { retry: false } });
}

function toFinish(reason: string): ReplyEnd["finish"] {
  return reason === "length" || reason === "content_filter" ? reason : "stop";
}

function toApprovalText(approvals: readonly WireApproval[]): string {
  const cards = approvals.map(({ approval_id, tool, wanted, expires_at }) =>
    `- ${tool}: ${wanted.join("; ")} (until ${expires_at})\n  oxydra approvals answer ${approval_id} once|no`
  );
  return [
    "[This waits for an approval by the person whose system it is. Answer it there, in a terminal:",
    ...cards,
    "Then the turn goes on by itself, and the same request with its Idempotency-Key gets the rest. Another message ends it.]",
  ].join("\n");
}
