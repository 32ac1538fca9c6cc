import { z } from "zod";
import type { Usage } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { toCutOff } from "#/provider/failure.ts";
import { toAssembler, type ToolCallAssembler } from "#/provider/openai_tool_calls.ts";
import { present } from "#/provider/present.ts";
import { checkReply } from "#/provider/reply_bounds.ts";
import type { ReplyReader } from "#/provider/stream.ts";

const Thinking = z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() });
const Redacted = z.object({ type: z.literal("redacted_thinking"), data: z.string() });

/**
 * The blocks of a reply that thought, in their order, as its `replay` keeps them: thoughts whole, since the vendor takes them back only
 * unchanged and in their place; of a text its length in UTF-16 code units, of a call that it stood there.
 */
export const Layout = z.array(z.union([
  Thinking,
  Redacted,
  z.object({ type: z.literal("text"), chars: z.number() }),
  z.object({ type: z.literal("tool_use") }),
]));
/** One block of it. */
export type LayoutBlock = z.infer<typeof Layout>[number];

// Loosely: vendors add events, kinds of blocks and fields.
const Head = z.object({ type: z.string() });
const Counts = z.object({
  input_tokens: z.number().nullish(),
  cache_read_input_tokens: z.number().nullish(),
  cache_creation_input_tokens: z.number().nullish(),
  output_tokens: z.number().nullish(),
  output_tokens_details: z.object({ thinking_tokens: z.number().nullish() }).nullish(),
}).nullish();
const MessageStart = z.object({ message: z.object({ usage: Counts }).nullish() });
const BlockStart = z.object({ index: z.number(), content_block: Head });
const TextBlock = z.object({ text: z.string().nullish() });
const ThinkingBlock = z.object({ thinking: z.string().nullish(), signature: z.string().nullish() });
const ToolUseBlock = z.object({ id: z.string().nullish(), name: z.string().nullish(), input: z.unknown().optional() });
const BlockDelta = z.object({
  index: z.number(),
  delta: z.object({
    type: z.string(),
    text: z.string().nullish(),
    thinking: z.string().nullish(),
    signature: z.string().nullish(),
    partial_json: z.string().nullish(),
  }),
});
const MessageDelta = z.object({
  delta: z.object({
    stop_reason: z.string().nullish(),
    stop_details: z.object({ explanation: z.string().nullish() }).nullish(),
  }).nullish(),
  usage: Counts,
});

/** The names that the other providers use. */
const FINISH_REASONS: ReadonlyMap<string, string> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["tool_use", "tool_calls"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["refusal", "content_filter"],
]);

type Shown = Extract<ModelEvent, { type: "text" | "reasoning" }>;

/** What has come of one message so far: events of the stream in, our events out. */
export class MessageReply implements ReplyReader {
  readonly #name: string;
  readonly #model: string;
  readonly #calls: ToolCallAssembler;
  readonly #layout: LayoutBlock[] = [];
  readonly #thoughts = new Map<number, z.infer<typeof Thinking>>();
  /** Blocks that are calls of ours: those that the vendor runs itself stream an input too. */
  readonly #toolUses = new Set<number>();
  #chars = 0;
  #usage: NonNullable<z.infer<typeof Counts>> | undefined;
  #stopReason: string | undefined;
  #isStopped = false;

  constructor(request: ModelRequest, name: string) {
    this.#name = name;
    this.#model = request.model;
    this.#calls = toAssembler(request.messages);
  }

  /** The stop reason is the last that a reply says; `message_stop` follows without content. */
  get isComplete(): boolean {
    return this.#isStopped || this.#stopReason !== undefined;
  }

  /** Events of one event; none for a kind that is not known. */
  read(value: unknown): ModelEvent[] {
    const events = this.#read(value).filter((event) => event.text !== "");
    for (const { text } of events) this.#chars += text.length;
    checkReply(this.#name, this.#chars, this.#calls.size);
    return events;
  }

  /** The last events; `ended` says that a `[DONE]` came, which some gateways send. */
  *finish(ended: boolean): Generator<ModelEvent> {
    if (!this.isComplete && !ended) return yield toCutOff(this.#name);
    const calls = this.#calls.finish();
    for (const call of calls) yield { type: "tool_call", call };
    // A thought without a signature is not taken back.
    const data = this.#layout.filter((block) => block.type !== "thinking" || block.signature !== "");
    if (data.some((block) => block.type === "thinking" || block.type === "redacted_thinking")) {
      yield { type: "replay", replay: { provider: this.#name, model: this.#model, data } };
    }
    if (this.#usage) yield { type: "usage", usage: toUsage(this.#usage) };
    const reason = this.#stopReason ?? (calls.length > 0 ? "tool_use" : "end_turn");
    yield { type: "done", finishReason: FINISH_REASONS.get(reason) ?? reason };
  }

  #read(value: unknown): Shown[] {
    switch (Head.parse(value).type) {
      case "message_start":
        this.#count(MessageStart.parse(value).message?.usage);
        return [];
      case "content_block_start": {
        const { index, content_block } = BlockStart.parse(value);
        return this.#start(index, content_block.type, (value as { content_block: unknown }).content_block);
      }
      case "content_block_delta":
        return this.#add(BlockDelta.parse(value));
      case "message_delta": {
        const { delta, usage } = MessageDelta.parse(value);
        this.#count(usage);
        this.#stopReason = delta?.stop_reason ?? this.#stopReason;
        return this.#text(delta?.stop_details?.explanation ?? "");
      }
      case "message_stop":
        this.#isStopped = true;
    }
    return [];
  }

  #start(index: number, type: string, block: unknown): Shown[] {
    switch (type) {
      case "text":
        return this.#text(TextBlock.parse(block).text ?? "");
      case "thinking": {
        const { thinking, signature } = ThinkingBlock.parse(block);
        const thought = { type, thinking: "", signature: signature ?? "" } as const;
        this.#thoughts.set(index, thought);
        this.#layout.push(thought);
        return this.#think(thought, thinking ?? "");
      }
      case "redacted_thinking": {
        const redacted = Redacted.parse(block);
        this.#chars += redacted.data.length;
        this.#layout.push(redacted);
        return [];
      }
      case "tool_use": {
        const { id, name, input } = ToolUseBlock.parse(block);
        this.#toolUses.add(index);
        const before = this.#calls.size;
        // Some gateways send the whole input here, and no pieces.
        const isWhole = typeof input === "object" && input !== null && Object.keys(input).length > 0;
        this.#calls.push({ index, id, function: { name, arguments: isWhole ? input : undefined } });
        if (this.#calls.size > before) this.#layout.push({ type });
      }
    }
    return [];
  }

  #add({ index, delta }: z.infer<typeof BlockDelta>): Shown[] {
    const thought = this.#thoughts.get(index);
    switch (delta.type) {
      case "text_delta":
        return this.#text(delta.text ?? "");
      case "thinking_delta":
        return this.#think(thought, delta.thinking ?? "");
      case "signature_delta":
        this.#chars += delta.signature?.length ?? 0;
        if (thought) thought.signature = delta.signature ?? "";
        return [];
      case "input_json_delta":
        if (this.#toolUses.has(index)) this.#calls.push({ index, function: { arguments: delta.partial_json } });
    }
    return [];
  }

  #text(text: string): Shown[] {
    const last = this.#layout.at(-1);
    if (last?.type === "text") {
      this.#layout[this.#layout.length - 1] = { type: "text", chars: last.chars + text.length };
    } else if (text !== "") this.#layout.push({ type: "text", chars: text.length });
    return [{ type: "text", text }];
  }

  #think(thought: z.infer<typeof Thinking> | undefined, text: string): Shown[] {
    if (thought) thought.thinking += text;
    return [{ type: "reasoning", text }];
  }

  /** Counts are cumulative: the last one that is said holds. */
  #count(counts: z.infer<typeof Counts>): void {
    const said = Object.entries(counts ?? {}).filter(([, count]) => count !== null && count !== undefined);
    if (said.length > 0) this.#usage = { ...this.#usage, ...Object.fromEntries(said) };
  }
}

function toUsage(counts: NonNullable<z.infer<typeof Counts>>): Usage {
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = counts;
  // `input_tokens` is what neither came from the cache nor went into it.
  const prompt = input_tokens === undefined || input_tokens === null
    ? undefined
    : input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0);
  return present({
    promptTokens: prompt,
    completionTokens: output_tokens,
    cachedTokens: cache_read_input_tokens,
    cacheWriteTokens: cache_creation_input_tokens,
    reasoningTokens: counts.output_tokens_details?.thinking_tokens,
    totalTokens: typeof prompt === "number" && typeof output_tokens === "number" ? prompt + output_tokens : undefined,
  });
}
