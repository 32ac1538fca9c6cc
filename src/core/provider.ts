import type { ErrorCode } from "#/core/error.ts";
import type { Message, ToolCall, Usage } from "#/core/message.ts";

/** A tool as the model sees it. */
export interface ToolSchema {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments object. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One call of a model. */
export interface ModelRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolSchema[];
  readonly maxOutputTokens?: number;
  /** Wall time of the whole call. */
  readonly timeoutMs: number;
}

/** What a model call yields, in order. The last event is exactly one `done` or `failed`. */
export type ModelEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "tool_call"; readonly call: ToolCall }
  | { readonly type: "usage"; readonly usage: Usage }
  /** A failed attempt that is tried again after `waitMs`. Only ever before the first text, reasoning or tool call. */
  | {
    readonly type: "retry";
    readonly attempt: number;
    readonly waitMs: number;
    readonly code: ErrorCode;
    readonly message: string;
  }
  | { readonly type: "done"; readonly finishReason: string }
  | {
    readonly type: "failed";
    readonly code: ErrorCode;
    /** For the person: what happened and what to change. Never a key, never a stack. */
    readonly message: string;
    readonly retryable: boolean;
    /** From Retry-After, when the vendor sent one. */
    readonly retryAfterMs?: number;
  };

/** Never throws for model or network trouble: the last event is exactly one `done` or `failed` (`cancelled` when the signal fired). */
export interface Provider {
  readonly name: string;
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}
