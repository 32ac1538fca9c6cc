import type { ErrorCode } from "#/core/error.ts";
import type { InlineMedia, Message, Replay, ToolCall, Usage } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";

/** A tool as the model sees it. */
export interface ToolSchema {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments object. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** How much a model may think. */
export type ReasoningEffort = "none" | "low" | "medium" | "high";

/** One call of a model. */
export interface ModelRequest {
  readonly model: string;
  /** What is known about the model; absent in tests and for an entry without a catalog. */
  readonly descriptor?: ModelDescriptor;
  /** Names the conversation for vendors that keep one on their side. */
  readonly session?: string;
  /** How much the model may think before it answers; absent leaves it to the vendor. */
  readonly reasoning?: ReasoningEffort;
  /** The reply's text is to be JSON of this schema. Vendors that cannot promise it refuse the request. */
  readonly outputSchema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly messages: readonly Message[];
  readonly tools: readonly ToolSchema[];
  readonly maxOutputTokens?: number;
  /** Wall time of the whole call. */
  readonly timeoutMs: number;
  /** Silence that ends it: this long without an event of its stream; what only keeps the connection open is none. */
  readonly silenceMs?: number;
}

/** An entry of the registry and a model of it. */
export interface ModelName {
  readonly provider: string;
  readonly model: string;
}

/** What a model call yields, in order. The last event is exactly one `done` or `failed`. */
export type ModelEvent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "tool_call"; readonly call: ToolCall }
  /** A picture or a sound that the model made. */
  | { readonly type: "media"; readonly media: InlineMedia }
  /** At most one a call. */
  | { readonly type: "replay"; readonly replay: Replay }
  | { readonly type: "usage"; readonly usage: Usage }
  /** A failed attempt that is tried again after `waitMs`. Only ever before the first text, reasoning or tool call. */
  | {
    readonly type: "retry";
    readonly attempt: number;
    readonly waitMs: number;
    readonly code: ErrorCode;
    readonly message: string;
  }
  /**
   * From here on another entry answers; nothing of a reply was shown before. `attempt` counts those of `from` that failed; 0 means that
   * it was not asked, because it had failed before.
   */
  | {
    readonly type: "switch";
    readonly attempt: number;
    readonly from: ModelName;
    readonly to: ModelName;
    readonly code: ErrorCode;
    readonly message: string;
  }
  /** Something that the person should know of this call. Before the first text, reasoning or tool call. */
  | { readonly type: "notice"; readonly message: string }
  | { readonly type: "done"; readonly finishReason: string }
  | {
    readonly type: "failed";
    readonly code: ErrorCode;
    /** For the person: what happened and what to change. Never a key, never a stack. */
    readonly message: string;
    readonly retryable: boolean;
    /** From Retry-After, when the vendor sent one. */
    readonly retryAfterMs?: number;
    /** Set when the request was refused for its tokens: only a model with a larger context can take it. */
    readonly tooLarge?: true;
  };

/** Never throws for model or network trouble: the last event is exactly one `done` or `failed` (`cancelled` when the signal fired). */
export interface Provider {
  readonly name: string;
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}
