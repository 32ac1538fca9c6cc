import { AppError, type ErrorCode, toPublicError } from "#/core/error.ts";
import type { SessionEvent } from "#/core/event.ts";
import type { Usage } from "#/core/message.ts";
import { PROTOCOL_VERSION } from "#/gateway/client_frame.ts";

/**
 * What the gateway says, in the shapes of the reference's protocol version 2 (crates/types/src/channel.rs and model.rs): fields in
 * snake_case, optional ones absent. `undefined` never reaches the wire: JSON.stringify leaves such fields out.
 */

/** Whose session. */
export interface WireSession {
  readonly user_id: string;
  readonly session_id: string;
}

/** A turn and how it stands. */
export interface WireTurn {
  readonly turn_id: string;
  readonly state: "running" | "completed" | "cancelled" | "failed";
}

/** What the loop is doing. The reference's decoder knows these four kinds and no other. */
export interface WireProgress {
  readonly kind:
    | { readonly kind: "provider_call" }
    | { readonly kind: "tool_execution"; readonly tool_names: readonly string[] }
    | { readonly kind: "rolling_summary" }
    | { readonly kind: "tool_heartbeat"; readonly tool_names: readonly string[]; readonly elapsed_secs: number };
  readonly message: string;
  /** 1-based step. */
  readonly turn: number;
  readonly max_turns: number;
}

/** The reference's `Response`; its empty `tool_calls` are absent. */
export interface WireResponse {
  readonly message: { readonly role: "assistant"; readonly content: string };
  readonly finish_reason?: string;
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly total_tokens?: number;
  };
}

/** What is available and why not, as the runner found it at start (crates/types/src/runner.rs). */
export interface StartupStatus {
  readonly sandbox_tier: "micro_vm" | "container" | "process";
  readonly sidecar_available: boolean;
  readonly shell_available: boolean;
  readonly browser_available: boolean;
  /** Absent when nothing is missing. */
  readonly degraded_reasons?: readonly { readonly code: DegradedCode; readonly detail: string }[];
}

/** The reference's `StartupDegradedReasonCode`; its decoder refuses a status with any other. */
export type DegradedCode =
  | "insecure_process_tier"
  | "process_hardening_limited"
  | "sidecar_unavailable"
  | "sidecar_transport_unsupported"
  | "sidecar_endpoint_invalid"
  | "sidecar_connection_failed"
  | "sidecar_protocol_error"
  | "runtime_shutdown";

/** One line of a session list; times are RFC 3339. */
export interface WireSessionSummary {
  readonly session_id: string;
  readonly agent_name: string;
  readonly display_name?: string | undefined;
  readonly channel_origin: string;
  readonly created_at: string;
  readonly last_active_at: string;
  readonly archived: boolean;
}

/** A file for the channel; `data` is base64. */
export interface WireAttachment {
  readonly file_path: string;
  readonly media_type: "photo" | "audio" | "document" | "voice" | "video";
  readonly caption?: string;
  readonly data: string;
  readonly file_name?: string;
}

/** Which model answers and why; for the first line that a client shows. */
export interface GatewayInfo {
  readonly version: string;
  readonly provider: string;
  readonly model: string;
  readonly reason: string;
  readonly workspace?: string;
}

/** The frames of one turn carry whose request it answers, its session and its state. */
export interface TurnAddress {
  readonly request_id: string;
  readonly session: WireSession;
  readonly turn: WireTurn;
}

type Optional<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** A question to a person. Only the runner's own copy of a card, at its control socket, is proof; this one came through the guest. */
export interface WireApproval {
  readonly approval_id: string;
  readonly tool: string;
  /** What the call would reach, a line each. */
  readonly wanted: readonly string[];
  readonly reason: string;
  /** `owner`: only a terminal on this machine may answer. */
  readonly answer_class: "owner" | "relayed";
  readonly args_sha256: string;
  /** RFC 3339; silence until then is a no. */
  readonly expires_at: string;
}

/** What a client may announce in its hello, by the name that it has there. */
const CAPABILITIES = {
  turnEvents: "turn_events",
  approvals: "approvals",
  media: "media",
  usage: "usage",
  steering: "steering",
} as const;

/** What a client announced. */
export type Knows =
  & { readonly [K in "turnEvents" | "approvals" | "media"]: boolean }
  & { readonly [K in keyof typeof CAPABILITIES]?: boolean };

/** What a hello's `capabilities` mean; names that this version does not know mean nothing. */
export function toKnows(announced: readonly string[]): Knows {
  const entries = Object.entries(CAPABILITIES).map(([key, name]) => [key, announced.includes(name)]);
  return Object.fromEntries(entries);
}

/** What something was used for and cost; tokens as the vendors counted them, US dollars. Absent is unknown. */
export interface WireCost {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost?: number | undefined;
}

/** Payload of each frame. Those from `gateway_info` on are ours: a client gets them only when it announced that it knows them. */
export interface ServerPayloads {
  hello_ack: {
    readonly request_id: string;
    readonly protocol_version: number;
    readonly session: WireSession;
    readonly active_turn?: WireTurn | undefined;
  };
  turn_started: TurnAddress;
  assistant_delta: TurnAddress & { readonly delta: string };
  turn_completed: TurnAddress & { readonly response: WireResponse };
  turn_cancelled: TurnAddress;
  turn_progress: TurnAddress & { readonly progress: WireProgress };
  /** `code` is ours: it reaches only a client that announced `turn_events`. */
  error: Optional<TurnAddress> & { readonly message: string; readonly code?: ErrorCode | undefined };
  health_status: {
    readonly request_id: string;
    readonly healthy: boolean;
    readonly session?: WireSession | undefined;
    readonly active_turn?: WireTurn | undefined;
    readonly startup_status?: StartupStatus | undefined;
    readonly message?: string | undefined;
  };
  scheduled_notification: {
    readonly schedule_id: string;
    readonly schedule_name?: string | undefined;
    readonly message: string;
  };
  session_created: {
    readonly request_id: string;
    readonly session: WireSession;
    readonly display_name?: string | undefined;
    readonly agent_name: string;
  };
  session_list: { readonly request_id: string; readonly sessions: readonly WireSessionSummary[] };
  session_switched: {
    readonly request_id: string;
    readonly session: WireSession;
    readonly active_turn?: WireTurn | undefined;
  };
  media_attachment: {
    readonly request_id: string;
    readonly session: WireSession;
    readonly attachment: WireAttachment;
  };
  gateway_info: GatewayInfo & { readonly request_id: string };
  turn_event: TurnAddress & { readonly event: SessionEvent };
  /** A `steer` is on record: in the running turn, or as the message of a turn of its own whose id is `message_id`. */
  steer_accepted: {
    readonly request_id: string;
    readonly session: WireSession;
    readonly message_id: string;
    readonly how: "injected" | "queued";
  };
  approval_request: TurnAddress & { readonly approval: WireApproval };
  approval_resolved: TurnAddress & { readonly approval_id: string; readonly answer: string; readonly by: string };
  /** Everything up to `to_seq` was sent, and what follows is live. `text` is what the running model call has said so far. */
  resumed: {
    readonly request_id: string;
    readonly session: WireSession;
    readonly to_seq: number;
    readonly active_turn?: WireTurn | undefined;
    readonly text?: string | undefined;
  };
  /** After each turn: what it cost, and its session and the UTC day with it. */
  usage: TurnAddress & {
    readonly used: WireCost;
    readonly in_session: WireCost;
    readonly today: WireCost;
  };
}

/** One frame of the gateway. */
export type ServerFrame = {
  [T in keyof ServerPayloads]: { readonly type: T; readonly payload: ServerPayloads[T] };
}[keyof ServerPayloads];

/** A frame of one type: `toFrame("turn_started", { request_id, session, turn })`. */
export function toFrame<T extends keyof ServerPayloads>(type: T, payload: ServerPayloads[T]): ServerFrame {
  return { type, payload } as ServerFrame;
}

/** The answer to `hello`. */
export function toHelloAck(requestId: string, session: WireSession, activeTurn: WireTurn | undefined): ServerFrame {
  return toFrame("hello_ack", {
    request_id: requestId,
    protocol_version: PROTOCOL_VERSION,
    session,
    active_turn: activeTurn,
  });
}

/** A finished turn's answer. Zero knowledge of tokens leaves `usage` out, as the reference does. */
export function toResponse(text: string, finishReason: string, usage: Usage): WireResponse {
  const counted = {
    ...toCount("prompt_tokens", usage.promptTokens),
    ...toCount("completion_tokens", usage.completionTokens),
    ...toCount("total_tokens", usage.totalTokens),
  };
  return {
    message: { role: "assistant", content: text.toWellFormed() },
    ...(finishReason === "" ? {} : { finish_reason: finishReason }),
    ...(Object.keys(counted).length === 0 ? {} : { usage: counted }),
  };
}

/** The reference's decoder takes whole numbers (u64) and refuses the frame for any other. */
function toCount<Name extends string>(name: Name, tokens: number | undefined): { [N in Name]?: number } {
  return Number.isSafeInteger(tokens) && tokens! >= 0 ? { [name]: tokens } as { [N in Name]?: number } : {};
}

/**
 * The text on the wire. `code` of an error and the frames of our own are for a client that announced `turn_events` (those about
 * approvals: `approvals`, those about cost: `usage`), and such a client is told of deltas and progress once, by `turn_event`, and is sent
 * megabytes of media only when it announced `media`; undefined when this client gets no such frame.
 */
export function encodeFrame(frame: ServerFrame, knows: Knows): string | undefined {
  switch (frame.type) {
    case "approval_request":
    case "approval_resolved":
      return knows.approvals ? toText(frame) : undefined;
    case "usage":
      return knows.usage ? toText(frame) : undefined;
    case "steer_accepted":
      return knows.steering ? toText(frame) : undefined;
    case "turn_event":
    case "gateway_info":
    case "resumed":
      return knows.turnEvents ? toText(frame) : undefined;
    case "assistant_delta":
    case "turn_progress":
      return knows.turnEvents ? undefined : toText(frame);
    case "media_attachment":
      return knows.turnEvents && !knows.media ? undefined : toText(frame);
    case "error":
      return toText(knows.turnEvents ? frame : toFrame("error", { ...frame.payload, code: undefined }));
    default:
      return toText(frame);
  }
}

/** JSON whose strings are whole: the reference's decoder refuses a frame with half of a surrogate pair in it, and others quote what clients wrote. */
function toText(frame: ServerFrame): string {
  const text = JSON.stringify(frame);
  // A lone one is the only character that leaves JSON.stringify as such an escape (ECMA-262 §25.5.2.3); text that spells it is rare.
  if (!text.includes("\\ud")) return text;
  return JSON.stringify(frame, (_name, value) => typeof value === "string" ? value.toWellFormed() : value);
}

/** What a client is told of any thrown value; one that is no error of ours is reported, under the id that the client is told. */
export function toTold(
  error: unknown,
  { report }: { readonly report: (error: unknown, id: string) => void },
): ReturnType<typeof toPublicError> {
  const id = crypto.randomUUID();
  if (!(error instanceof AppError)) report(error, id);
  return toPublicError(error, id);
}
