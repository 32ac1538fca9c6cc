import type { AuditHead } from "#/core/audit.ts";
import type { Decision, Principal, ToolIdentity } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import type { InlineMedia, Replay, ToolCall, Usage } from "#/core/message.ts";
import type { ModelName } from "#/core/provider.ts";
import type { ToolEffect } from "#/core/tool.ts";

/** Bytes kept beside the log, named by their hash. */
export interface BlobRef {
  readonly sha256: string;
  readonly bytes: number;
  readonly mimeType: string;
}

/** What a program asked of one turn beside its text. It narrows the turn and explains the task; it grants nothing. */
export interface AskedOfTurn {
  readonly origin: "api";
  readonly instructions?: string;
  /** The reply's text is to be JSON of this schema. */
  readonly outputSchema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly maxOutputTokens?: number;
}

/** A budget that can end a turn. */
export type BudgetKind = "turns" | "cost" | "time" | "tokens" | "tool_calls";

/** What a model call was for, when it was not for the turn's answer: its reply is no part of the conversation. */
export type CallPurpose = "summary";

/** Payload of each durable kind, version 1. Names and meaning are for ever: change one by a new `v` and an upcast on read. */
export interface EventPayloads {
  user_message: {
    readonly text: string;
    readonly channel: string;
    readonly attachments?: readonly InlineMedia[];
    /** The client's request id: the same turn id again is a retry. */
    readonly requestId?: string;
    /** Set when it came through the API. */
    readonly asked?: AskedOfTurn;
  };
  model_request: {
    /** 1-based model call of this turn. */
    readonly step: number;
    readonly provider: string;
    readonly model: string;
    readonly parameters: Readonly<Record<string, unknown>>;
    readonly window: {
      readonly sha256: string;
      readonly fromSeq: number;
      readonly toSeq: number;
      readonly messages: number;
      readonly droppedMessages: number;
      /** The summary that stands before the messages. */
      readonly summaryEpoch?: number;
      /** Tokens of the messages from `fromSeq` to `toSeq`, all of them shown, are at most this, by our tokenizer: the next turn need not count them. */
      readonly tokensMax?: number;
    };
    readonly purpose?: CallPurpose;
    /** US dollars that the call costs at most, and does when its result was lost; absent when a price is not known. */
    readonly reserved?: number;
  };
  model_result: {
    readonly step: number;
    readonly text: string;
    readonly reasoning?: string;
    readonly toolCalls: readonly ToolCall[];
    readonly finishReason: string;
    readonly usage: Usage;
    /** US dollars at the catalog's price of that day; absent when the price is not known. */
    readonly cost?: number;
    /** Set when the vendor left tokens out and our count stands for them in `cost`. */
    readonly costIsEstimate?: boolean;
    /** Who answered, when that is not who was asked. */
    readonly answeredBy?: ModelName;
    readonly replay?: Replay;
    /** Why, when `finishReason` is `failed`. */
    readonly failure?: { readonly code: ErrorCode; readonly message: string };
    /** What the model made beside text; the bytes are blobs of this event. */
    readonly media?: readonly BlobRef[];
    readonly purpose?: CallPurpose;
    /**
     * Attempts that failed before this one. `switchedTo` names the entry that was asked next instead of the same one again; with `attempt`
     * 0 the one before it was not asked at all.
     */
    readonly retries?: readonly {
      readonly attempt: number;
      readonly waitMs: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly switchedTo?: ModelName;
    }[];
  };
  tool_intent: {
    readonly callId: string;
    readonly step: number;
    readonly tool: string;
    readonly effect: ToolEffect;
    /** Parsed arguments as sent to the runner. */
    readonly args: unknown;
    readonly argsSha256: string;
    readonly principal: Principal;
    /** Whose runner is asked, where several gateways have the store: another one cannot know what became of the call. */
    readonly node?: string;
  };
  tool_decision: {
    readonly callId: string;
    readonly tool: ToolIdentity;
    readonly decision: Decision;
  };
  tool_result: {
    readonly callId: string;
    readonly tool: string;
    readonly ok: boolean;
    /** `ok`, or why not. */
    readonly code: ErrorCode | "ok";
    /** Exactly what the model sees. */
    readonly text: string;
    readonly outputBytes: number;
    readonly truncated: boolean;
    readonly elapsedMs: number;
    /** The runner's audit log as the call left it. */
    readonly auditHead?: AuditHead;
  };
  /** `card` is an ApprovalCard as the runner made it. */
  approval_asked: { readonly callId: string; readonly card: unknown };
  /** `answer` is an ApprovalAnswer, `by` is `owner`, `relayed` or `silence`. */
  approval_answered: {
    readonly callId: string;
    /** Of the card. */
    readonly id?: string;
    readonly answer: string;
    readonly by: string;
    /** As in `tool_intent`: whose runner is asked from now on. */
    readonly node?: string | undefined;
  };
  /** The turn waits for a person and runs no further until the call is answered; the next event of the turn, if any, is that answer. */
  parked: { readonly callId: string; readonly reason: string };
  /** A turn that was interrupted goes on: since its last reply or result for the `attempt`th time, from 1. */
  resumed: { readonly attempt: number };
  /** Stands for events `fromSeq` to `toSeq` of its session and for every summary before it. `epoch` counts a session's summaries from 1. */
  summary: { readonly fromSeq: number; readonly toSeq: number; readonly text: string; readonly epoch: number };
  budget: { readonly kind: BudgetKind; readonly used: number; readonly limit: number };
  /** What the person said while the turn ran; the next model call sees it. `id` is the client's, the same again is a retry. */
  steering: { readonly id: string; readonly text: string };
  /** All that is left of a session that was deleted: how much there was. */
  forgotten: { readonly events: number; readonly blobs: number; readonly bytes: number };
  turn_done: {
    readonly text: string;
    readonly finishReason: string;
    readonly steps: number;
    readonly toolCalls: number;
    /** Calls that policy refused. */
    readonly denied: number;
    readonly usage: Usage;
    /** US dollars of all model calls; absent when the price of one is not known. */
    readonly cost?: number;
    /** Last entry of the runner's audit log that this turn knows of: `oxydra audit verify` compares. */
    readonly auditHead?: AuditHead;
  };
  turn_failed: { readonly code: ErrorCode; readonly message: string; readonly steps: number };
  turn_cancelled: { readonly reason: string; readonly steps: number };
}

/** Name of a durable kind. */
export type EventType = keyof EventPayloads;

/** Bytes to be stored with an event. */
export interface NewBlob extends BlobRef {
  readonly content: Uint8Array;
}

/** A durable event before the log has given it a place. */
export type NewEvent = {
  [T in EventType]: {
    readonly type: T;
    readonly v: 1;
    readonly payload: EventPayloads[T];
    readonly blobs?: readonly NewBlob[];
  };
}[EventType];

/** A durable event as the log holds it. `seq` counts from 1 within a session; `at` is integer ms UTC. */
export type StoredEvent = {
  [T in EventType]: {
    readonly seq: number;
    readonly session: string;
    readonly turn: string;
    readonly type: T;
    readonly v: 1;
    readonly at: number;
    readonly payload: EventPayloads[T];
    readonly blobs: readonly BlobRef[];
  };
}[EventType];

/** What the loop is doing; shown, never stored. */
export type Progress =
  | { readonly kind: "provider_call" }
  | { readonly kind: "provider_retry"; readonly attempt: number; readonly waitMs: number; readonly code: ErrorCode }
  | { readonly kind: "provider_switch"; readonly to: ModelName; readonly code: ErrorCode }
  | { readonly kind: "provider_notice" }
  | { readonly kind: "tool_execution"; readonly toolNames: readonly string[] }
  | { readonly kind: "rolling_summary" }
  | { readonly kind: "tool_heartbeat"; readonly toolNames: readonly string[]; readonly elapsedSecs: number }
  /** `tail`: how its output ends so far, whole lines of text; `lines`: how many lines there were. Each takes the place of the one before. */
  | {
    readonly kind: "tool_output";
    readonly toolNames: readonly string[];
    readonly callId: string;
    readonly tail: string;
    readonly lines: number;
  };

/** Shown while it happens, never stored. */
export type LiveEvent =
  | { readonly type: "text_delta"; readonly payload: { readonly text: string } }
  | { readonly type: "reasoning_delta"; readonly payload: { readonly text: string } }
  | {
    readonly type: "progress";
    readonly payload: {
      readonly progress: Progress;
      readonly message: string;
      readonly step: number;
      readonly stepsMax: number;
    };
  };

/** What `runTurn` yields. */
export type TurnEvent = NewEvent | LiveEvent;

/** What a session yields: durable events after they were recorded, live ones as they come. */
export type SessionEvent = StoredEvent | LiveEvent;

const LIVE: ReadonlySet<string> = new Set(["text_delta", "reasoning_delta", "progress"]);

/** True when the event belongs into the log. */
export function isDurable(event: TurnEvent): event is NewEvent {
  return !LIVE.has(event.type);
}

/** True when the event has a place in the log. */
export function isStored(event: SessionEvent): event is StoredEvent {
  return !LIVE.has(event.type);
}

/** True for the three kinds that end a turn. */
export function isTurnEnd(event: { readonly type: string }): boolean {
  return event.type === "turn_done" || event.type === "turn_failed" || event.type === "turn_cancelled";
}
