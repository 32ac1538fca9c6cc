import type { ApprovalResolution } from "#/core/capability.ts";
import type { SessionEvent, StoredEvent } from "#/core/event.ts";
import type { Subscriber } from "#/gateway/hub.ts";
import type { SessionMessage } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";
import type { SteeringSource } from "#/turn/steering.ts";

/** One message on its way into a session. */
export type InboundTurn = Required<SessionMessage>;

/**
 * The seam to the floor below; app joins them. The first event comes when the turn has left its queue. An id that the session has
 * finished before is answered with its recorded events and runs nothing. Refusals are thrown as AppError (`queue_full`,
 * `turn_conflict`, `session_unknown`) before the first event; otherwise the last event ends the turn, or parks it, or it throws AppError
 * `turn_suspended` or `session_taken`: the turn goes on after the next start, or in another gateway.
 */
export interface TurnSource {
  send(turn: InboundTurn, signal: AbortSignal, steering: SteeringSource): AsyncIterable<SessionEvent>;
  /** Goes on with a turn that waits for a person, or that an interruption left open; no event when it is neither (any more). */
  resume(
    place: TurnPlace,
    answer: ApprovalResolution | undefined,
    signal: AbortSignal,
    steering: SteeringSource,
  ): AsyncIterable<SessionEvent>;
  /** Ends a turn that waits for a person, as cancelled; returns the events that say so. */
  endParked(place: TurnPlace, reason: string): Promise<readonly StoredEvent[]>;
  /** Suspends the turns that run and takes no more; resolves when they have come to a recorded boundary. */
  suspend(): Promise<void>;
}

/** A turn as its gateway keeps it, from its message to its end. */
export interface Turn extends TurnPlace {
  text: string;
  channel: string;
  attachments: InboundTurn["attachments"];
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

/** A turn that nobody has begun yet. Pure. */
export function toTurnRecord(message: InboundTurn & Pick<Turn, "sender">): Turn {
  return {
    ...message,
    abort: new AbortController(),
    started: false,
    parked: false,
    parkedSeq: 0,
    early: undefined,
    replay: false,
    waiting: "",
  };
}
