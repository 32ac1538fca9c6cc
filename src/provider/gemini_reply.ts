import { z } from "zod";
import type { ToolCall, Usage } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { toCutOff, toFailed } from "#/provider/failure.ts";
import { toMedia } from "#/provider/media.ts";
import { toAssembler, type ToolCallAssembler } from "#/provider/openai_tool_calls.ts";
import { present } from "#/provider/present.ts";
import { checkReply } from "#/provider/reply_bounds.ts";
import type { ReplyReader } from "#/provider/stream.ts";

const Part = z.object({
  text: z.string().nullish(),
  thought: z.boolean().nullish(),
  thoughtSignature: z.string().nullish(),
  functionCall: z.object({ id: z.string().nullish(), name: z.string().nullish(), args: z.unknown().optional() })
    .nullish(),
  inlineData: z.object({ mimeType: z.string(), data: z.string() }).nullish(),
});

/** A chunk, loosely: each is a whole GenerateContentResponse with what is new in its parts. */
const Chunk = z.object({
  candidates: z.array(z.object({
    index: z.number().nullish(),
    content: z.object({ parts: z.array(Part).nullish() }).nullish(),
    finishReason: z.string().nullish(),
  })).nullish(),
  promptFeedback: z.object({ blockReason: z.string().nullish() }).nullish(),
  usageMetadata: z.object({
    promptTokenCount: z.number().nullish(),
    toolUsePromptTokenCount: z.number().nullish(),
    candidatesTokenCount: z.number().nullish(),
    thoughtsTokenCount: z.number().nullish(),
    cachedContentTokenCount: z.number().nullish(),
    totalTokenCount: z.number().nullish(),
  }).nullish(),
});
type Counts = NonNullable<z.infer<typeof Chunk>["usageMetadata"]>;

/** What a call or a text carries of the thoughts behind it; no other model can read it. */
export const Signed = z.object({
  /** The entry's name. */
  provider: z.string(),
  model: z.string(),
  thoughtSignature: z.string(),
});

/** `data` of a replay: the signature and the place of the text that carried it, in UTF-16 code units. */
export const SignedText = z.object({
  thoughtSignature: z.string(),
  from: z.number().int().nonnegative(),
  to: z.number().int().nonnegative(),
});
/** A place in the text of a reply, which may be empty. */
export type SignedText = z.infer<typeof SignedText>;

/** The model's own slips: another try often goes well. */
const SLIPS = /^(MALFORMED|UNEXPECTED)_/;
const FILTERS = /SAFETY|RECITATION|LANGUAGE|BLOCKLIST|PROHIBITED|SPII/;

/** What has come of one reply so far: chunks in, our events out. Facts: ai.google.dev/api/generate-content and the types of @google/genai. */
export class GeminiReply implements ReplyReader {
  readonly #name: string;
  readonly #model: string;
  readonly #calls: ToolCallAssembler;
  /** By the order of calls. */
  readonly #signatures = new Map<number, string>();
  #signedText: SignedText | undefined;
  #textChars = 0;
  #chars = 0;
  #hasMedia = false;
  #counts: Counts | undefined;
  #finishReason: string | undefined;
  #blockReason: string | undefined;

  constructor(request: ModelRequest, name: string) {
    this.#calls = toAssembler(request.messages);
    this.#model = request.model;
    this.#name = name;
  }

  /** There is no mark behind the finish reason. */
  get isComplete(): boolean {
    return this.#finishReason !== undefined || this.#blockReason !== undefined;
  }

  /** Events of one chunk. */
  read(value: unknown): ModelEvent[] {
    const { candidates, promptFeedback, usageMetadata } = Chunk.parse(value);
    const events: ModelEvent[] = [];
    if (usageMetadata) this.#counts = { ...this.#counts, ...usageMetadata };
    if (promptFeedback?.blockReason) this.#blockReason = promptFeedback.blockReason;
    for (const { index, content, finishReason } of candidates ?? []) {
      if ((index ?? 0) !== 0) continue;
      for (const part of content?.parts ?? []) events.push(...this.#readPart(part));
      if (finishReason) this.#finishReason = finishReason;
    }
    checkReply(this.#name, this.#chars, this.#calls.size);
    return events;
  }

  /** The last events; `ended` says that a `[DONE]` came, which some gateways send. */
  *finish(ended: boolean): Generator<ModelEvent> {
    const calls = this.#calls.finish().map((call, at) => this.#sign(call, at));
    const reason = this.#finishReason ?? (ended && !this.isComplete ? "STOP" : undefined);
    if (reason === undefined && this.#blockReason === undefined) return yield toCutOff(this.#name);
    if (reason !== undefined && SLIPS.test(reason)) {
      const message = `${this.#name} wrote a tool call that its own vendor cannot read (${reason}).`;
      return yield toFailed("provider_protocol", message, { retryable: true });
    }
    const finish = toFinishReason(reason);
    const isSilent = this.#textChars === 0 && calls.length === 0 && !this.#hasMedia;
    if (isSilent && finish !== "stop" && finish !== "length") {
      const did = finish === "content_filter" ? "blocked its answer" : "ended without an answer";
      const what = reason === undefined ? `blocked the prompt (${this.#blockReason})` : `${did} (${reason})`;
      return yield toFailed("provider_rejected", `${this.#name} ${what}. Ask in other words, or choose another model.`);
    }
    for (const call of calls) yield { type: "tool_call", call };
    const replay = { provider: this.#name, model: this.#model, data: this.#signedText };
    if (replay.data) yield { type: "replay", replay };
    if (this.#counts) yield { type: "usage", usage: toUsage(this.#counts) };
    yield { type: "done", finishReason: finish === "stop" && calls.length > 0 ? "tool_calls" : finish };
  }

  #readPart({ text, thought, thoughtSignature, functionCall, inlineData }: z.infer<typeof Part>): ModelEvent[] {
    if (functionCall) {
      const index = this.#calls.size;
      // Whole in one part, and often without an id: a number of its own keeps it apart from its neighbour.
      this.#calls.push({
        index,
        id: functionCall.id,
        function: { name: functionCall.name, arguments: functionCall.args },
      });
      if (thoughtSignature) this.#signatures.set(index, thoughtSignature);
      return [];
    }
    this.#chars += text?.length ?? 0;
    // Pictures among the thoughts are drafts.
    if (thought) return text ? [{ type: "reasoning", text }] : [];
    if (inlineData) {
      this.#hasMedia = true;
      return [toMedia(this.#name, inlineData.mimeType, inlineData.data)];
    }
    const from = this.#textChars;
    this.#textChars += text?.length ?? 0;
    if (thoughtSignature) this.#signedText = { thoughtSignature, from, to: this.#textChars };
    return text ? [{ type: "text", text }] : [];
  }

  #sign(call: ToolCall, at: number): ToolCall {
    const thoughtSignature = this.#signatures.get(at);
    if (thoughtSignature === undefined) return call;
    return {
      ...call,
      metadata: { provider: this.#name, model: this.#model, thoughtSignature } satisfies z.infer<typeof Signed>,
    };
  }
}

/** The names that the other providers use. Without a reason the prompt was blocked. */
function toFinishReason(reason = "BLOCKLIST"): string {
  if (reason === "STOP") return "stop";
  if (reason === "MAX_TOKENS") return "length";
  return FILTERS.test(reason) ? "content_filter" : reason.toLowerCase();
}

function toUsage(counts: Counts): Usage {
  const sum = (...parts: (number | null | undefined)[]) =>
    parts.every((part) => typeof part !== "number") ? undefined : parts.reduce<number>((all, n) => all + (n ?? 0), 0);
  return present({
    promptTokens: sum(counts.promptTokenCount, counts.toolUsePromptTokenCount),
    completionTokens: sum(counts.candidatesTokenCount, counts.thoughtsTokenCount),
    cachedTokens: counts.cachedContentTokenCount,
    reasoningTokens: counts.thoughtsTokenCount,
    totalTokens: counts.totalTokenCount,
  });
}
