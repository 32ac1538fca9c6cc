import type { InlineMedia, Message, Replay, ToolCall } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { isTextFile } from "#/provider/attachments.ts";
import { Signed, SignedText } from "#/provider/gemini_reply.ts";
import { toGeminiThinking } from "#/provider/gemini_thinking.ts";
import { isMadeBy } from "#/provider/own_replay.ts";
import { present } from "#/provider/present.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

/** One part of a content, as the API has it. */
export type Part = Readonly<Record<string, unknown>>;

/** What one side said. */
export interface Content {
  readonly role: "user" | "model";
  readonly parts: Part[];
}

/** Who the request is for. */
export interface BodyOptions {
  /** Of the entry: a signature that another one brought is not sent. */
  readonly name: string;
  /** False leaves every signature out. */
  readonly signed: boolean;
}

/**
 * The request body of generateContent. A reply that called tools goes back as its calls alone, without its free text
 * (SPEC §2), each with the signature of the thoughts behind it. Schemas go as they are: `parametersJsonSchema` takes all of JSON
 * Schema where `parameters` answers 400 to `additionalProperties`. Pure.
 */
export function toBody(request: ModelRequest, options: BodyOptions): Readonly<Record<string, unknown>> {
  const { messages, tools } = request;
  const system = messages.flatMap((message) => message.role === "system" ? [{ text: message.content }] : []);
  const config = toConfig(request);
  return {
    ...(system.length > 0 ? { systemInstruction: { parts: system } } : {}),
    contents: toContents(request, options),
    ...(tools.length > 0 ? { tools: [{ functionDeclarations: tools.map(toDeclaration) }] } : {}),
    ...(Object.keys(config).length > 0 ? { generationConfig: config } : {}),
  };
}

function toConfig(request: ModelRequest): Readonly<Record<string, unknown>> {
  const { maxOutputTokens, outputSchema, descriptor } = request;
  const makes = descriptor?.output.filter((modality) => ["text", "image", "audio"].includes(modality)) ?? [];
  const isMore = makes.some((modality) => modality !== "text");
  return present({
    maxOutputTokens,
    thinkingConfig: toGeminiThinking(request),
    responseMimeType: outputSchema && "application/json",
    responseJsonSchema: outputSchema?.schema,
    // Unasked, a model answers with text alone.
    responseModalities: isMore ? makes.map((modality) => modality.toUpperCase()) : undefined,
  });
}

function toDeclaration({ name, description, parameters }: ModelRequest["tools"][number]): Part {
  return { name, description, parametersJsonSchema: parameters };
}

/** Neighbours of one role are one content: results of one step belong together, and the API counts them. */
function toContents({ messages, model }: ModelRequest, options: BodyOptions): Content[] {
  const lastUser = messages.findLastIndex((message) => message.role === "user");
  const contents: Content[] = [];
  for (const [at, message] of messages.entries()) {
    if (message.role === "system") continue;
    const role = message.role === "assistant" ? "model" : "user";
    const parts = toParts(message, { ...options, model, isCurrent: at > lastUser });
    const last = contents.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else if (parts.length > 0) contents.push({ role, parts });
  }
  // A conversation that starts with a call is refused.
  if (contents[0]?.role === "model") {
    contents.unshift({ role: "user", parts: [{ text: "[earlier messages are left out]" }] });
  }
  return contents;
}

interface Reader extends BodyOptions {
  readonly model: string;
  /** The message belongs to the turn that goes on. */
  readonly isCurrent: boolean;
}

function toParts(message: Exclude<Message, { role: "system" }>, reader: Reader): Part[] {
  switch (message.role) {
    case "user": {
      const text = message.content === "" ? [] : [{ text: message.content }];
      return [...(message.attachments ?? []).map(toInlineData), ...text];
    }
    case "assistant":
      return message.toolCalls.length > 0 ? toCalls(message.toolCalls, reader) : toTexts(message, reader);
    case "tool": {
      const { toolCallId: id, content, ok } = message;
      return [{
        functionResponse: { id, name: toName(message.name), response: ok ? { output: content } : { error: content } },
      }];
    }
  }
}

/** What Google names for calls that another model made: ai.google.dev/gemini-api/docs/thought-signatures. */
const UNSIGNED = "skip_thought_signature_validator";

/** Gemini 3 and later refuse a step of the running turn whose first call is not signed; earlier ones sign what they like. */
function toCalls(calls: readonly ToolCall[], reader: Reader): Part[] {
  return calls.map((call, at) => {
    const { data } = Signed.safeParse(call.metadata);
    const own = isSent(data, reader) ? data?.thoughtSignature : undefined;
    const isWanted = at === 0 && reader.isCurrent && /gemini-(?![12]\b)/.test(reader.model);
    const thoughtSignature = own ?? (isWanted ? UNSIGNED : undefined);
    const functionCall = { id: call.id, name: toName(call.name), args: JSON.parse(toJsonArguments(call)) };
    return present({ functionCall, thoughtSignature });
  });
}

/** The API takes no other characters; a slip of a model has them. */
function toName(name: string): string {
  return name.replace(/[^\w.:-]/g, "_") || "_";
}

function toTexts({ content, replay }: Extract<Message, { role: "assistant" }>, reader: Reader): Part[] {
  const { data: signed } = SignedText.safeParse(isSent(replay, reader) ? replay?.data : undefined);
  const toText = (text: string) => text === "" ? [] : [{ text }];
  if (signed === undefined) return toText(content);
  const { from, to, thoughtSignature } = signed;
  const part = { text: content.slice(from, to), thoughtSignature };
  return [...toText(content.slice(0, from)), part, ...toText(content.slice(to))];
}

function isSent(from: Pick<Replay, "provider" | "model"> | undefined, { name, model, signed }: Reader): boolean {
  return signed && isMadeBy(from, { provider: name, model });
}

/** `withFitted` has left only what this format carries. It knows few kinds of text by name, and every one as text. */
function toInlineData({ mimeType, data }: InlineMedia): Part {
  const type = isTextFile(mimeType) ? "text/plain" : mimeType.split(";")[0]!.trim().toLowerCase();
  return { inlineData: { mimeType: type, data } };
}
