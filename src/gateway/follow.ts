import type { SessionEvent } from "#/core/event.ts";
import type { EventLog } from "#/core/store.ts";
import { readOn } from "#/gateway/event_queue.ts";
import type { InboundTurn } from "#/gateway/running_turn.ts";
import type { Turns } from "#/gateway/turns.ts";

/** How a door over HTTP watches a turn. */
export interface FollowOptions {
  /** Fires when the client has left. */
  readonly signal: AbortSignal;
  /** A client that leaves cancels the turn, when it began it and nobody else follows it. */
  readonly cancels: boolean;
}

/**
 * The events of a turn: it starts, or is the one with this id that runs, waits for a person or has ended. Ends with the turn or when that is
 * parked; watchers of the session see it as well. A slow reader loses live events, never a recorded one. Throws AppError
 * `turn_conflict` for an id that was used for another message, `cancelled` when the gateway closes, and what the session refuses with.
 */
export async function* followTurn(
  message: InboundTurn,
  deps: { readonly turns: Pick<Turns, "join">; readonly log: Pick<EventLog, "turn"> },
  options: FollowOptions,
): AsyncGenerator<SessionEvent, void, void> {
  const { session, turn } = message;
  const { queue, leave } = await deps.turns.join(message);
  const end = () => queue.end();
  options.signal.addEventListener("abort", end, { once: true });
  if (options.signal.aborted) end();
  const readAfter = async function* (seq: number) {
    yield* (await deps.log.turn(session, turn)).filter((event) => event.seq > seq);
  };
  try {
    for await (const { event } of readOn(queue, { after: 0, isWhole: false, readAfter })) yield event;
  } finally {
    options.signal.removeEventListener("abort", end);
    leave(options.cancels);
  }
}
