import type { ApprovalResolution } from "#/core/capability.ts";
import type { Subscriber } from "#/gateway/hub.ts";
import type { SessionMessage } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** A turn as its gateway keeps it, from its message to its end. */
export interface Turn extends TurnPlace {
  text: string;
  channel: string;
  attachments: Required<SessionMessage>["attachments"];
  /** Whose request its frames answer: the sender's, after a retry the last sender's. */
  requestId: string;
  /** Absent for a turn that an earlier process began. */
  sender: Subscriber | undefined;
  abort: AbortController;
  started: boolean;
  /** It waits for a person; nothing runs. */
  parked: boolean;
  /** The event that said so. */
  parkedSeq: number;
  /** An answer that came before it waited. */
  early: ApprovalResolution | undefined;
  /** A finished turn, told again to its sender alone: the others have seen it. */
  replay: boolean;
  waiting: string;
}

/** The message that a turn came as. */
export function toMessage(turn: Turn): Required<SessionMessage> {
  const { session, text, channel, requestId, attachments } = turn;
  return { session, turn: turn.turn, text, channel, requestId, attachments };
}

/** True when two messages say the same, so that one is a retry of the other. */
export function isSameMessage(
  left: Pick<Turn, "text" | "attachments">,
  right: Pick<Turn, "text" | "attachments">,
): boolean {
  return left.text === right.text && left.attachments.length === right.attachments.length &&
    left.attachments.every(({ mimeType, data }, at) =>
      mimeType === right.attachments[at]?.mimeType && data === right.attachments[at]?.data
    );
}
