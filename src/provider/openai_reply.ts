import { z } from "zod";
import type { Usage } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { toCutOff } from "#/provider/failure.ts";
import { fromMediaUrl } from "#/provider/media.ts";
import type { ReplyReader } from "#/provider/stream.ts";
import { toAssembler, type ToolCallAssembler } from "#/provider/openai_tool_calls.ts";
import { present } from "#/provider/present.ts";
import { checkReply } from "#/provider/reply_bounds.ts";

/** A chunk, loosely: vendors add fields and leave others out. */
const Chunk = z.object({
  choices: z.array(z.object({
    index: z.number().nullish(),
    delta: z.object({
      content: z.string().nullish(),
      refusal: z.string().nullish(),
      reasoning_content: z.string().nullish(),
      reasoning: z.string().nullish(),
      images: z.array(z.object({ image_url: z.object({ url: z.string() }) })).nullish(),
      tool_calls: z.array(z.object({
        index: z.number().nullish(),
        id: z.string().nullish(),
        function: z.object({ name: z.string().nullish(), arguments: z.unknown().optional() }).nullish(),
      })).nullish(),
    }).nullish(),
    finish_reason: z.string().nullish(),
  })).nullish(),
  usage: z.object({
    prompt_tokens: z.number().nullish(),
    completion_tokens: z.number().nullish(),
    completion_tokens_details: z.object({ reasoning_tokens: z.number().nullish() }).nullish(),
    total_tokens: z.number().nullish(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
  }).nullish(),
});

/** What has come of one reply so far: chunks in, events out. */
export class Reply implements ReplyReader {
  readonly #name: string;
  readonly #calls: ToolCallAssembler;
  #chars = 0;
  #usage: Usage | undefined;
  #finishReason: string | undefined;

  constructor(request: ModelRequest, name: string) {
    this.#calls = toAssembler(request.messages);
    this.#name = name;
  }

  get isComplete(): boolean {
    return this.#finishReason !== undefined;
  }

  /** Events of one chunk. Throws ZodError for what is no chunk, AppError `provider_protocol` beyond a bound. */
  read(value: unknown): ModelEvent[] {
    const { choices, usage } = Chunk.parse(value);
    if (usage) this.#usage = toUsage(usage);
    const events: ModelEvent[] = [];
    for (const { index, delta, finish_reason } of choices ?? []) {
      if ((index ?? 0) !== 0) continue;
      const thought = delta?.reasoning_content || delta?.reasoning;
      if (thought) events.push({ type: "reasoning", text: thought });
      const text = delta?.content || delta?.refusal;
      if (text) events.push({ type: "text", text });
      this.#chars += (thought?.length ?? 0) + (text?.length ?? 0);
      for (const image of delta?.images ?? []) events.push(fromMediaUrl(this.#name, image.image_url.url));
      for (const part of delta?.tool_calls ?? []) this.#calls.push(part);
      if (finish_reason) this.#finishReason = finish_reason;
    }
    checkReply(this.#name, this.#chars, this.#calls.size);
    return events;
  }

  /** The last events. `ended` says that the vendor marked the end itself, with or without a finish reason. */
  *finish(ended: boolean): Generator<ModelEvent> {
    if (this.#finishReason === undefined && !ended) return yield toCutOff(this.#name);
    const calls = this.#calls.finish();
    for (const call of calls) yield { type: "tool_call", call };
    if (this.#usage) yield { type: "usage", usage: this.#usage };
    yield { type: "done", finishReason: this.#finishReason ?? (calls.length > 0 ? "tool_calls" : "stop") };
  }
}

function toUsage(usage: NonNullable<z.infer<typeof Chunk>["usage"]>): Usage {
  return present({
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens,
    totalTokens: usage.total_tokens,
  });
}
