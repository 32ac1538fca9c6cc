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
  | {
    readonly role: "assistant";
    readonly content: string;
    readonly toolCalls: readonly ToolCall[];
    readonly replay?: Replay;
  }
  | {
    readonly role: "tool";
    readonly toolCallId: string;
    readonly name: string;
    readonly content: string;
    readonly ok: boolean;
  };

/** What a vendor wants back with a message that it made: signatures of thoughts, the id of a response. */
export interface Replay {
  /** Entry name in the registry; no other entry reads it. */
  readonly provider: string;
  readonly model: string;
  /** Host and port of the vendor; nobody else is sent it. */
  readonly at?: string;
  /** JSON, at most `replayBytesMax`; its shape is that entry's own. */
  readonly data: unknown;
}

/** Tokens of one model call; absent when the vendor did not say. */
export interface Usage {
  /** All of the prompt, cached tokens included. */
  readonly promptTokens?: number;
  /** All of the reply, thoughts included. */
  readonly completionTokens?: number;
  /** Of the prompt, read from the vendor's cache. */
  readonly cachedTokens?: number;
  /** Of the prompt, written into the vendor's cache. */
  readonly cacheWriteTokens?: number;
  /** Of the reply, thoughts. */
  readonly reasoningTokens?: number;
  readonly totalTokens?: number;
}
