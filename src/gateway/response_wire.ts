import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Usage } from "#/core/message.ts";
import { toOwnField } from "#/gateway/api_answer.ts";
import type { Piece, ReplyEnd } from "#/gateway/api_reply.ts";
import type { HttpError } from "#/gateway/http_error.ts";
import { encodeSse } from "#/gateway/sse.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What a response repeats of its request. */
export interface ResponseHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created_at: number;
  readonly model: string;
  readonly previous_response_id: string | null;
  readonly instructions: string | null;
  readonly max_output_tokens: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly text: { readonly format: unknown };
}

const Place = z.tuple([z.string().min(1).max(LIMITS.logIdCharsMax), z.string().min(1).max(LIMITS.logIdCharsMax)]);

/** The id of a response: where it was made. It opens nothing; whoever brings it has to be allowed to see that session. */
export function toResponseId({ session, turn }: TurnPlace): string {
  const bytes = new TextEncoder().encode(JSON.stringify([session, turn]));
  return `resp_${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/** Where a response was made. Throws AppError `session_unknown`. */
export function readResponseId(id: string): TurnPlace {
  try {
    const bytes = Uint8Array.fromBase64(id.replace(/^resp_/, ""), { alphabet: "base64url" });
    const [session, turn] = Place.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
    return { session, turn };
  } catch (error) {
    throw unknownResponse(error);
  }
}

/** Says that there is no such response, or none that the caller may see: the same words. */
export function unknownResponse(cause?: unknown): AppError {
  const params = { code: "response_not_found", param: "previous_response_id" };
  return new AppError("session_unknown", "there is no response with this id", { cause, params });
}

/** A finished response; one without `end` is under way. Pure. */
export function toResponseObject(head: ResponseHead, turn: TurnPlace, end?: ReplyEnd) {
  const isCut = end !== undefined && end.finish !== "stop";
  const reason = end?.finish === "length" ? "max_output_tokens" : "content_filter";
  return {
    ...head,
    object: "response",
    status: end === undefined ? "in_progress" : isCut ? "incomplete" : "completed",
    error: null,
    incomplete_details: isCut ? { reason } : null,
    output: end === undefined ? [] : [toItem(head, end.text, "completed")],
    parallel_tool_calls: true,
    store: true,
    temperature: null,
    top_p: null,
    tool_choice: "auto",
    tools: [],
    truncation: "disabled",
    usage: end === undefined ? null : toUsage(end.usage),
    ...(end === undefined ? {} : { oxydra: toOwnField(turn, end) }),
  };
}

/** A response as events, in the order in which OpenAI's clients want them. */
export async function* writeResponse(
  pieces: AsyncIterable<Piece>,
  turn: TurnPlace,
  head: ResponseHead,
): AsyncGenerator<string> {
  let number = 0;
  const write = (type: string, fields: object) =>
    encodeSse({ name: type, body: { type, sequence_number: number++, ...fields } });
  const item_id = toItem(head, "", "in_progress").id;
  const place = { item_id, output_index: 0, content_index: 0 };
  yield write("response.created", { response: toResponseObject(head, turn) });
  yield write("response.in_progress", { response: toResponseObject(head, turn) });
  yield write("response.output_item.added", {
    output_index: 0,
    item: { ...toItem(head, "", "in_progress"), content: [] },
  });
  yield write("response.content_part.added", { ...place, part: toPart("") });
  for await (const piece of pieces) {
    if ("text" in piece) {
      yield write("response.output_text.delta", { ...place, delta: piece.text, logprobs: [] });
      continue;
    }
    const { text, finish } = piece.end;
    yield write("response.output_text.done", { ...place, text, logprobs: [] });
    yield write("response.content_part.done", { ...place, part: toPart(text) });
    yield write("response.output_item.done", { output_index: 0, item: toItem(head, text, "completed") });
    const type = finish === "stop" ? "response.completed" : "response.incomplete";
    yield write(type, { response: toResponseObject(head, turn, piece.end) });
  }
}

/** The event that ends a stream which broke. Pure. */
export function toFailedEvent({ error: { message, code, param } }: HttpError): string {
  return encodeSse({ name: "error", body: { type: "error", sequence_number: 0, message, code, param } });
}

function toItem({ id }: ResponseHead, text: string, status: "in_progress" | "completed") {
  return { id: id.replace(/^resp_/, "msg_"), type: "message", status, role: "assistant", content: [toPart(text)] };
}

function toPart(text: string) {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function toUsage({ promptTokens = 0, completionTokens = 0, totalTokens, cachedTokens, reasoningTokens }: Usage) {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
    total_tokens: totalTokens ?? promptTokens + completionTokens,
  };
}
