import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Piece, ReplyEnd } from "#/gateway/api_reply.ts";
import type { ApiTurn, DoorDeps } from "#/gateway/api_turn.ts";
import { type HttpError, toHttpFailure } from "#/gateway/http_error.ts";
import type { WireApproval } from "#/gateway/server_frame.ts";
import type { TurnPlace } from "#/session/turn_log.ts";
import { toSseResponse } from "#/gateway/sse.ts";

/** What of ours stands in an answer beside what the API has: where it happened, and what waits for a person. */
export interface OwnField {
  readonly session_id: string;
  readonly turn_id: string;
  readonly status: "completed" | "approval_needed";
  readonly approvals: readonly WireApproval[];
}

/** What of ours stands in an answer. Pure. */
export function toOwnField(turn: TurnPlace, { approvals }: Pick<ReplyEnd, "approvals">): OwnField {
  const status = approvals.length === 0 ? "completed" : "approval_needed";
  return { session_id: turn.session, turn_id: turn.turn, status, approvals };
}

/** Headers of an answer: where it happened, and which parts of the request nothing obeyed. */
export function toHeaders(turn: ApiTurn, ignored: readonly string[]): Record<string, string> {
  return {
    "x-oxydra-session": encodeURIComponent(turn.session),
    "x-oxydra-turn": encodeURIComponent(turn.turn),
    ...(ignored.length === 0 ? {} : { "x-oxydra-ignored": ignored.join(", ") }),
  };
}

/**
 * Streams an answer. Its head goes out with the first piece, so that what fails before that has a status of its own, or after
 * `sseHeartbeatMs`. What breaks later is told by `toFailed`, as the last event. Throws what the first piece throws.
 */
export async function streamAnswer(
  turn: ApiTurn,
  deps: Pick<DoorDeps, "after" | "report">,
  wire: {
    readonly headers: Readonly<Record<string, string>>;
    readonly write: (pieces: AsyncIterable<Piece>) => AsyncIterable<string>;
    readonly toFailed: (error: HttpError) => string;
  },
): Promise<Response> {
  const first = turn.pieces.next();
  const late = Promise.withResolvers<void>();
  const cancel = deps.after(LIMITS.sseHeartbeatMs, late.resolve);
  try {
    await Promise.race([first, late.promise]);
  } finally {
    cancel();
  }
  const pieces = async function* () {
    try {
      for (let got = await first; !got.done; got = await turn.pieces.next()) yield got.value;
    } finally {
      await turn.pieces.return(undefined);
    }
  };
  const texts = async function* () {
    try {
      yield* wire.write(pieces());
    } catch (error) {
      const id = crypto.randomUUID();
      if (!(error instanceof AppError)) deps.report(error, id);
      yield wire.toFailed(toHttpFailure(error, id).body);
    }
  };
  return toSseResponse(texts(), { headers: wire.headers, after: deps.after, left: turn.left });
}
