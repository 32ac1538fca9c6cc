import type { NewEvent, TurnEvent } from "#/core/event.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** What a person says to a turn that runs. `id` is theirs: the same one again is a retry. */
export interface SteeringMessage {
  readonly id: string;
  readonly text: string;
}

/** Where a turn finds them. */
export interface SteeringSource {
  /** What has come since the last time, in order. Each is the caller's now: it is recorded in this turn, or it is lost. */
  take(): readonly SteeringMessage[];
}

/** Yields an event for each message that waits, so that it is recorded before a model is shown it. Returns whether there was one. */
export function* takeSteering(
  source: SteeringSource,
  state: TurnState,
): Generator<TurnEvent, boolean, void> {
  const messages = source.take();
  for (const { id, text } of messages) {
    const event: NewEvent = { type: "steering", v: 1, payload: { id, text } };
    yield state.stamp(event);
    state.steer(text);
  }
  return messages.length > 0;
}
