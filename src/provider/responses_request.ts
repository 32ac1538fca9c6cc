import type OpenAI from "openai";
import type { InlineMedia, Message } from "#/core/message.ts";
import { toModality } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toFormat } from "#/provider/attachments.ts";
import { present } from "#/provider/present.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

type Body = OpenAI.Responses.ResponseCreateParamsStreaming;
type Item = OpenAI.Responses.ResponseInputItem;

/** How a request stands to what the vendor keeps. */
export interface BodyOptions {
  /** The vendor keeps the reply, so that the next request can go on from it. */
  readonly store: boolean;
  /** The response to go on from: only messages from `from` on are sent. */
  readonly chain?: { readonly id: string; readonly from: number } | undefined;
  /** What stands before a message of this turn when nothing is chained: thoughts that the vendor sealed. */
  readonly thoughtsOf: (message: Message) => Item | undefined;
}

/**
 * The request body of Responses. Instructions and tools go with every request: the vendor does not carry them over. Thoughts serve within a turn, so they
 * go back no further than to the last user message. Facts: developers.openai.com/api/docs/guides/{conversation-state,reasoning}.
 */
export function toBody(request: ModelRequest, { store, chain, thoughtsOf }: BodyOptions): Body {
  const { messages, maxOutputTokens, outputSchema: output } = request;
  const asked = messages.findLastIndex((message) => message.role === "user");
  const input = messages.flatMap((message, at) => {
    if (chain !== undefined) return at < chain.from ? [] : toItems(message);
    const thoughts = at < asked ? undefined : thoughtsOf(message);
    return thoughts === undefined ? toItems(message) : [thoughts, ...toItems(message)];
  });
  const instructions = messages.flatMap((message) => message.role === "system" ? [message.content] : []).join("\n\n");
  const tools = toTools(request);
  return {
    model: request.model,
    ...present({ instructions: instructions || undefined, input, previous_response_id: chain?.id }),
    store,
    stream: true,
    ...present({ tools: tools.length > 0 ? tools : undefined, max_output_tokens: maxOutputTokens }),
    ...toReasoning(request),
    ...(output
      ? { text: { format: { type: "json_schema", name: output.name, schema: { ...output.schema }, strict: true } } }
      : {}),
  };
}

/** One message as the vendor is shown it: the same message gives the same items. A system message gives none. */
export function toItems(message: Message): Item[] {
  switch (message.role) {
    case "system":
      return [];
    case "user": {
      const files = message.attachments ?? [];
      if (files.length === 0) return [{ role: "user", content: message.content }];
      const text = message.content === "" ? [] : [{ type: "input_text" as const, text: message.content }];
      return [{ role: "user", content: [...text, ...files.map(toPart)] }];
    }
    case "assistant": {
      const calls = message.toolCalls.map((call): Item => ({
        type: "function_call",
        call_id: call.id,
        name: call.name,
        arguments: toJsonArguments(call),
      }));
      return message.content === "" ? calls : [{ role: "assistant", content: message.content }, ...calls];
    }
    case "tool":
      return [{ type: "function_call_output", call_id: message.toolCallId, output: message.content }];
  }
}

/** `withFitted` has left only what this format carries. */
function toPart({ mimeType, data }: InlineMedia, index: number): OpenAI.Responses.ResponseInputContent {
  const url = `data:${mimeType};base64,${data}`;
  if (toModality(mimeType) === "image") return { type: "input_image", detail: "auto", image_url: url };
  return { type: "input_file", filename: `attachment-${index}.${toFormat(mimeType)}`, file_data: url };
}

/** A model that makes pictures makes them by a tool of the vendor's. */
function toTools({ tools, descriptor }: ModelRequest): OpenAI.Responses.Tool[] {
  const own = tools.map(({ name, description, parameters }): OpenAI.Responses.Tool => ({
    type: "function",
    name,
    description,
    parameters: { ...parameters },
    strict: false,
  }));
  return descriptor?.output.includes("image") ? [...own, { type: "image_generation" }] : own;
}

/** Other models refuse the parameter, and sealed thoughts too. */
function toReasoning({ reasoning: effort, descriptor }: ModelRequest): Pick<Body, "reasoning" | "include"> {
  if (!(descriptor?.reasoning ?? effort !== undefined)) return {};
  if (effort === "none") return { reasoning: { effort } };
  return { reasoning: { ...present({ effort }), summary: "auto" }, include: ["reasoning.encrypted_content"] };
}
