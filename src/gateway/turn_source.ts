import type { ApprovalResolution } from "#/core/capability.ts";
import type { SessionEvent, StoredEvent } from "#/core/event.ts";
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
