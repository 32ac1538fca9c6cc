import type { Principal, Sandbox } from "#/core/capability.ts";
import type { TurnTool } from "#/turn/check_call.ts";
import type { TurnState } from "#/turn/turn_state.ts";

/** What the calls of a turn run in. */
export interface CallContext {
  readonly session: string;
  readonly turn: string;
  /** See `TurnInput.node`. */
  readonly node?: string | undefined;
  readonly principal: Principal;
  readonly tools: ReadonlyMap<string, TurnTool>;
  readonly toolCallsMax: number;
  readonly state: TurnState;
  readonly sandbox: Pick<Sandbox, "call">;
  /** Stops the turn: when it was cancelled, when its time is over, and by us when the reader leaves while calls run. */
  readonly control: AbortController;
  /** Integer ms UTC. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal fires. */
  delay(ms: number, signal: AbortSignal): Promise<void>;
}
