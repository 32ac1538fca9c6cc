/** A tool call as the model wrote it. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text exactly as the model wrote it; it may be broken. `""` when it was dropped for its size. */
  readonly arguments: string;
  /** Set when the arguments were longer than `argsBytesMax` and were dropped. */
  readonly droppedBytes?: number;
  /** Vendor data that must be echoed with the call (Gemini thought signatures). */
  readonly metadata?: unknown;
}

/** Media inside a message. */
export interface InlineMedia {
  readonly mimeType: string;
  /** Base64. */
  readonly data: string;
}

/** One message of the conversation as a provider sees it. */
export type Message =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: string; readonly attachments?: readonly InlineMedia[] }
  | { readonly role: "assistant"; readonly content: string; readonly toolCalls: readonly ToolCall[] }
  | {
    readonly role: "tool";
    readonly toolCallId: string;
    readonly name: string;
    readonly content: string;
    readonly ok: boolean;
  };

/** Tokens of one model call; absent when the vendor did not say. */
export interface Usage {
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  readonly cachedTokens?: number;
  readonly totalTokens?: number;
}
