import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { EventLog } from "#/core/store.ts";
import type { EventQueue } from "#/gateway/event_queue.ts";
import type { Subscriber } from "#/gateway/hub.ts";
import type { SessionMessage } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** One message on its way into a session. */
export type InboundTurn = Required<Omit<SessionMessage, "asked">> & Pick<SessionMessage, "asked">;

/** A turn that has not ended, and who is to hear of it. */
export interface RunningTurn extends TurnPlace, Pick<InboundTurn, "asked"> {
  text: string;
  channel: string;
  attachments: InboundTurn["attachments"];
  /** Whose request its frames answer: the sender's, after a retry the last sender's. */
  requestId: string;
  /** Absent for a turn that an earlier process began. */
  sender: Subscriber | undefined;
  /** Doors over HTTP that watch it. */
  readonly followers: Set<EventQueue>;
  abort: AbortController;
  started: boolean;
  /** It waits for a person; nothing runs. */
  parked: boolean;
  /** The event that said so. */
  parkedSeq: number;
  /** It is to go on as soon as it waits: with an answer that came before, or to look whether there is one. */
  early: { readonly answer: ApprovalResolution | undefined } | undefined;
  /** A finished turn, told again to its sender alone: the others have seen it. */
  replay: boolean;
  waiting: string;
  /** What the running model call has said so far. */
  said: string;
  /** Of the last recorded event that its clients were told of. */
  toldSeq: number;
}

/** A turn that has not begun. */
export function toRunningTurn(turn: InboundTurn & Pick<RunningTurn, "sender" | "followers">): RunningTurn {
  return {
    ...turn,
    abort: new AbortController(),
    started: false,
    parked: false,
    parkedSeq: 0,
    early: undefined,
    replay: false,
    waiting: "",
    said: "",
    toldSeq: 0,
  };
}

/** What the session is sent. */
export function toMessage(turn: RunningTurn): InboundTurn {
  const { session, text, channel, requestId, attachments, asked } = turn;
  return { session, turn: turn.turn, text, channel, requestId, attachments, ...(asked === undefined ? {} : { asked }) };
}

/**
 * Throws AppError `turn_conflict` unless the message is the one that the turn with its id runs with; what one of an earlier process was asked is
 * read from the log.
 */
export async function checkSameMessage(
  turn: RunningTurn,
  message: InboundTurn,
  log: Pick<EventLog, "turn">,
): Promise<void> {
  // A log that cannot be read knows of no message.
  await recall(turn, log).catch(() => {});
  if (isSameMessage(turn, message)) return;
  throw new AppError("turn_conflict", `turn ${turn.turn} is running with another message`);
}

/** What an inherited turn was asked, from the log: the same message again is a retry of it. Others know. */
export async function recall(turn: RunningTurn, log: Pick<EventLog, "turn">): Promise<void> {
  if (turn.sender !== undefined || turn.text !== "") return;
  const events = await log.turn(turn.session, turn.turn);
  const asked = events.find((event) => event.type === "user_message")?.payload;
  if (asked === undefined) return;
  const { text, channel, attachments = [], requestId = "" } = asked;
  Object.assign(turn, { text, channel, attachments, requestId });
}

/** Ends what doors hear of a turn; with an error, they are thrown it. */
export function endFollowers(turn: RunningTurn, error?: { readonly thrown: unknown }): void {
  for (const follower of turn.followers) follower.end(error);
  turn.followers.clear();
}

function isSameMessage(left: RunningTurn, right: InboundTurn): boolean {
  return left.text === right.text && left.attachments.length === right.attachments.length &&
    left.attachments.every(({ mimeType, data }, at) =>
      mimeType === right.attachments[at]?.mimeType && data === right.attachments[at]?.data
    );
}
