import type { ApprovalCard } from "#/core/capability.ts";
import type { LiveEvent, Progress, SessionEvent, StoredEvent } from "#/core/event.ts";
import { isStored } from "#/core/event.ts";
import { toPublicEvent } from "#/gateway/public_event.ts";
import {
  type ServerFrame,
  toFrame,
  toResponse,
  type TurnAddress,
  type WireApproval,
  type WireProgress,
  type WireTurn,
} from "#/gateway/server_frame.ts";

/** A frame on its way to clients. A slow reader loses those that may be dropped, never another. */
export interface Outgoing {
  readonly frame: ServerFrame;
  readonly droppable: boolean;
  /** Place in its session of the recorded event that this tells of; absent where nothing was recorded. */
  readonly seq?: number;
}

/**
 * The frames of one event, in order: first the event itself for clients that announced `turn_events`, then what the reference's
 * protocol makes of it. `running` is the turn's address while it runs. Pure. `turn_started` is not among them: it belongs to the turn, not to an event.
 */
export function toTurnFrames(event: SessionEvent, running: TurnAddress): Outgoing[] {
  const place = isStored(event) ? { droppable: false, seq: event.seq } : { droppable: true };
  const own = { frame: toFrame("turn_event", { ...running, event: toPublicEvent(event) }), ...place };
  const frame = toReferenceFrame(event, running) ?? toApprovalFrame(event, running);
  return frame === undefined ? [own] : [own, { frame, ...place }];
}

/** The cards of a turn that nobody has answered, as clients are told of them. Pure. */
export function toOpenCards(events: readonly StoredEvent[], running: TurnAddress): Outgoing[] {
  const answered = new Set(events.filter((event) => event.type === "tool_result").map((e) => e.payload.callId));
  const open = events.filter((event) => event.type === "approval_asked" && !answered.has(event.payload.callId));
  return open.flatMap((event) => toTurnFrames(event, running).slice(1));
}

/** A turn and how it stands. */
export function toTurn(turnId: string, state: WireTurn["state"]): WireTurn {
  return { turn_id: turnId, state };
}

function toReferenceFrame(event: SessionEvent, running: TurnAddress): ServerFrame | undefined {
  const ended = (state: WireTurn["state"]) => ({ ...running, turn: toTurn(running.turn.turn_id, state) });
  switch (event.type) {
    case "text_delta":
      return toFrame("assistant_delta", { ...running, delta: event.payload.text });
    case "progress": {
      const progress = toWireProgress(event.payload);
      return progress && toFrame("turn_progress", { ...running, progress });
    }
    case "turn_done": {
      const { text, finishReason, usage } = event.payload;
      return toFrame("turn_completed", { ...ended("completed"), response: toResponse(text, finishReason, usage) });
    }
    case "turn_cancelled":
      return toFrame("turn_cancelled", ended("cancelled"));
    case "turn_failed":
      return toFrame("error", { ...ended("failed"), message: event.payload.message, code: event.payload.code });
    default:
      return undefined;
  }
}

function toApprovalFrame(event: SessionEvent, running: TurnAddress): ServerFrame | undefined {
  if (event.type === "approval_asked") {
    return toFrame("approval_request", { ...running, approval: toWireApproval(event.payload.card as ApprovalCard) });
  }
  if (event.type !== "approval_answered") return undefined;
  const { callId, id = callId, answer, by } = event.payload;
  return toFrame("approval_resolved", { ...running, approval_id: id, answer, by });
}

/** A card as clients are shown it. */
export function toWireApproval(card: ApprovalCard): WireApproval {
  return {
    approval_id: card.id,
    tool: card.tool.name,
    wanted: card.lines,
    reason: card.reason,
    answer_class: card.answer,
    args_sha256: card.argsSha256,
    expires_at: new Date(card.expiresAt).toISOString(),
  };
}

/** Undefined for what the reference's clients have no frame for: the heartbeat tells them that a call goes on. */
function toWireProgress(payload: Extract<LiveEvent, { type: "progress" }>["payload"]): WireProgress | undefined {
  const kind = toWireKind(payload.progress);
  return kind && {
    kind,
    message: payload.message,
    turn: payload.step,
    max_turns: payload.stepsMax,
  };
}

function toWireKind(progress: Progress): WireProgress["kind"] | undefined {
  switch (progress.kind) {
    case "tool_execution":
      return { kind: "tool_execution", tool_names: progress.toolNames };
    case "tool_heartbeat":
      return { kind: "tool_heartbeat", tool_names: progress.toolNames, elapsed_secs: progress.elapsedSecs };
    case "tool_output":
      return undefined;
    case "rolling_summary":
      return { kind: "rolling_summary" };
    case "provider_call":
    // The reference's decoder refuses a frame with a kind that it does not know; a retry is a provider call, its message says which.
    case "provider_retry":
    case "provider_switch":
    case "provider_notice":
      return { kind: "provider_call" };
  }
}

/**
 * Joins a surrogate pair that a vendor cut in two: half a pair is no text, and the reference's decoder refuses the frame. Returns
 * what can be shown now and what waits for the next delta. At most one UTF-16 code unit ever waits.
 */
export function joinPair(waiting: string, delta: string): { readonly text: string; readonly waiting: string } {
  const joined = waiting + delta;
  const last = joined.charCodeAt(joined.length - 1);
  if (last < 0xd800 || last > 0xdbff) return { text: joined.toWellFormed(), waiting: "" };
  return { text: joined.slice(0, -1).toWellFormed(), waiting: joined.slice(-1) };
}
