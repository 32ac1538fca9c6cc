import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { Usage } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { toCutOff } from "#/provider/failure.ts";
import { toMedia } from "#/provider/media.ts";
import { toAssembler, type ToolCallAssembler } from "#/provider/openai_tool_calls.ts";
import { present } from "#/provider/present.ts";
import { checkReply } from "#/provider/reply_bounds.ts";
import { type ResponsesReplay, SealedThoughts } from "#/provider/responses_chain.ts";
import { StreamError } from "#/provider/sse.ts";
import type { ReplyReader } from "#/provider/stream.ts";

/** The events that matter, loosely: vendors add fields, leave others out, and send kinds that nobody knows. */
const Head = z.object({ type: z.string() });
const Delta = z.object({ output_index: z.number().nullish(), delta: z.string() });
const Arguments = z.object({ output_index: z.number().nullish(), arguments: z.string() });
const ItemEvent = z.object({
  output_index: z.number().nullish(),
  item: z.looseObject({
    type: z.string(),
    call_id: z.string().nullish(),
    name: z.string().nullish(),
    arguments: z.string().nullish(),
    content: z.array(z.object({ text: z.string().nullish(), refusal: z.string().nullish() })).nullish(),
    result: z.string().nullish(),
    output_format: z.string().nullish(),
  }),
});
const ResponseEvent = z.object({
  response: z.object({
    id: z.string().nullish(),
    previous_response_id: z.string().nullish(),
    store: z.boolean().nullish(),
    error: z.unknown().optional(),
    incomplete_details: z.object({ reason: z.string().nullish() }).nullish(),
    usage: z.object({
      input_tokens: z.number().nullish(),
      input_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
      output_tokens: z.number().nullish(),
      output_tokens_details: z.object({ reasoning_tokens: z.number().nullish() }).nullish(),
      total_tokens: z.number().nullish(),
    }).nullish(),
  }),
});
type VendorResponse = z.infer<typeof ResponseEvent>["response"];

/** How a reply stands to what the vendor keeps. */
export interface ReplyOptions {
  /** Entry name. */
  readonly name: string;
  /** The response that the request goes on from. */
  readonly chain?: string | undefined;
  /** Fingerprint of what is answered; absent when the vendor is to keep nothing. */
  readonly covers?: string | undefined;
}

/** What has come of one reply of Responses so far: events in, ours out. */
export class ResponsesReply implements ReplyReader {
  readonly #request: ModelRequest;
  readonly #options: ReplyOptions;
  readonly #calls: ToolCallAssembler;
  /** Output items whose text or arguments came in pieces: what comes whole behind them is the same again. */
  readonly #streamed = new Set<number>();
  readonly #thoughts: unknown[] = [];
  #isChained: boolean;
  #chars = 0;
  #hasReasoned = false;
  #response: VendorResponse | undefined;
  #finishReason: string | undefined;

  constructor(request: ModelRequest, options: ReplyOptions) {
    this.#request = request;
    this.#options = options;
    this.#calls = toAssembler(request.messages);
    this.#isChained = options.chain === undefined;
  }

  get isComplete(): boolean {
    return this.#finishReason !== undefined;
  }

  /**
   * Events of one value. Throws ZodError for what is none, StreamError for an error, AppError `provider_protocol` beyond a bound, AppError
   * `provider_rejected` from a vendor that answers without going on from where it was told to: some take the id and forget it.
   */
  read(value: unknown): ModelEvent[] {
    const { type } = Head.parse(value);
    if (type === "error") throw new StreamError(value);
    if (/^response\.(created|queued|in_progress|completed|incomplete|failed)$/.test(type)) {
      this.#takeResponse(type, ResponseEvent.parse(value).response);
      return [];
    }
    if (!this.#isChained) this.#refuseChain();
    const events = this.#take(type, value);
    for (const event of events) this.#chars += "text" in event ? event.text.length : 0;
    checkReply(this.#options.name, this.#chars, this.#calls.size);
    return events;
  }

  /** The last events. The vendor's end mark is an event: a `[DONE]` says nothing. */
  *finish(): Generator<ModelEvent> {
    const { name } = this.#options;
    if (this.#finishReason === undefined) return yield toCutOff(name);
    const calls = this.#calls.finish();
    for (const call of calls) yield { type: "tool_call", call };
    if (this.#response?.usage) yield { type: "usage", usage: toUsage(this.#response.usage) };
    const data = this.#toReplay();
    if (Object.keys(data).length > 0) {
      yield { type: "replay", replay: { provider: name, model: this.#request.model, data } };
    }
    const isCall = this.#finishReason === "stop" && calls.length > 0;
    yield { type: "done", finishReason: isCall ? "tool_calls" : this.#finishReason };
  }

  #takeResponse(type: string, response: VendorResponse): void {
    if (type === "response.failed") throw new StreamError(response.error ?? {});
    this.#isChained ||= response.previous_response_id === this.#options.chain;
    this.#response = response;
    if (type !== "response.completed" && type !== "response.incomplete") return;
    if (!this.#isChained) this.#refuseChain();
    const reason = response.incomplete_details?.reason ?? "incomplete";
    const cut = reason === "max_output_tokens" ? "length" : reason;
    this.#finishReason = type === "response.completed" ? "stop" : cut;
  }

  #refuseChain(): never {
    throw new AppError("provider_rejected", `${this.#options.name} does not go on from its own reply.`);
  }

  #take(type: string, value: unknown): ModelEvent[] {
    switch (type) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        return toText("text", this.#takeDelta(value).delta);
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        this.#hasReasoned = true;
        return toText("reasoning", this.#takeDelta(value).delta);
      case "response.reasoning_summary_part.added":
        return this.#hasReasoned ? toText("reasoning", "\n\n") : [];
      case "response.function_call_arguments.delta": {
        const { output_index: index, delta } = this.#takeDelta(value);
        this.#calls.push({ index, function: { arguments: delta } });
        return [];
      }
      case "response.function_call_arguments.done": {
        const { output_index, arguments: args } = Arguments.parse(value);
        if (!this.#isStreamed(output_index)) this.#calls.push({ index: output_index, function: { arguments: args } });
        return [];
      }
      case "response.output_item.added":
      case "response.output_item.done":
        return this.#takeItem(ItemEvent.parse(value), type.endsWith("done"));
      default:
        return [];
    }
  }

  #takeDelta(value: unknown): z.infer<typeof Delta> {
    const delta = Delta.parse(value);
    this.#streamed.add(delta.output_index ?? -1);
    return delta;
  }

  /** Says whether an output item came before, and from now on it has. */
  #isStreamed(index: number | null | undefined): boolean {
    const came = this.#streamed.has(index ?? -1);
    this.#streamed.add(index ?? -1);
    return came;
  }

  #takeItem({ output_index: index, item }: z.infer<typeof ItemEvent>, isWhole: boolean): ModelEvent[] {
    if (item.type === "function_call") {
      const args = isWhole && !this.#isStreamed(index) ? { arguments: item.arguments } : {};
      this.#calls.push({ index, id: item.call_id, function: { name: item.name, ...args } });
    }
    if (!isWhole) return [];
    if (item.type === "reasoning") this.#thoughts.push(item);
    if (item.type === "message" && !this.#isStreamed(index)) {
      return (item.content ?? []).flatMap((part) => toText("text", part.text ?? part.refusal ?? ""));
    }
    if (item.type !== "image_generation_call" || !item.result) return [];
    const format = item.output_format ?? "png";
    return [toMedia(this.#options.name, `image/${format === "svg" ? "svg+xml" : format}`, item.result)];
  }

  /** A reply that was cut off is no place to go on from, and the vendor wants each of several thoughts right before what it led to. */
  #toReplay(): ResponsesReplay {
    const { covers } = this.#options;
    const { id, store } = this.#response ?? {};
    if (this.#finishReason !== "stop") return {};
    return present({
      kept: covers !== undefined && id && store !== false ? { id, covers } : undefined,
      thoughts: this.#thoughts.length === 1 ? SealedThoughts.safeParse(this.#thoughts[0]).data : undefined,
    });
  }
}

function toText(type: "text" | "reasoning", text: string): ModelEvent[] {
  return text === "" ? [] : [{ type, text }];
}

function toUsage(usage: NonNullable<VendorResponse["usage"]>): Usage {
  return present({
    promptTokens: usage.input_tokens,
    completionTokens: usage.output_tokens,
    cachedTokens: usage.input_tokens_details?.cached_tokens,
    reasoningTokens: usage.output_tokens_details?.reasoning_tokens,
    totalTokens: usage.total_tokens,
  });
}
