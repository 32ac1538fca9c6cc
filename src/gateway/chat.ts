import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import type { Usage } from "#/core/message.ts";
import { streamAnswer, toHeaders, toOwnField } from "#/gateway/api_answer.ts";
import {
  checkModel,
  checkToolChoice,
  Content,
  ignoredIn,
  Metadata,
  type OutputFormat,
  refuse,
  toAsked,
  toSaid,
} from "#/gateway/api_body.ts";
import { type Piece, toReply } from "#/gateway/api_reply.ts";
import { type ApiDeps, type ApiTurn, openApiTurn } from "#/gateway/api_turn.ts";
import { toConversation } from "#/gateway/conversation.ts";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";
import { encodeSse } from "#/gateway/sse.ts";

/** A request of OpenAI's Chat Completions (platform.openai.com/docs/api-reference/chat); what is not named here is ignored. */
const Body = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({
    role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
    content: Content.nullish(),
    tool_calls: z.array(z.unknown()).nullish(),
  })).min(1).max(LIMITS.apiMessagesMax),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.number().int().nullish(),
  max_tokens: z.number().int().positive().nullish(),
  max_completion_tokens: z.number().int().positive().nullish(),
  response_format: z.discriminatedUnion("type", [
    z.looseObject({ type: z.enum(["text", "json_object"]) }),
    z.looseObject({
      type: z.literal("json_schema"),
      json_schema: z.looseObject({ name: z.string(), schema: z.record(z.string(), z.unknown()).default({}) }),
    }),
  ]).nullish(),
  modalities: z.array(z.string()).nullish(),
  tool_choice: z.unknown().optional(),
  function_call: z.unknown().optional(),
  metadata: Metadata,
});
type Body = z.infer<typeof Body>;

/** What of a request is obeyed, or needs no obeying. */
const OBEYED: ReadonlySet<string> = new Set(
  ("model messages stream stream_options n max_tokens max_completion_tokens response_format modalities metadata tool_choice " +
    "function_call").split(" "),
);

const Answer = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(z.looseObject({
    index: z.number().int(),
    message: z.looseObject({ role: z.literal("assistant"), content: z.string() }),
    finish_reason: z.enum(["stop", "length", "content_filter"]),
  })),
});

/** `POST /v1/chat/completions`: what clients of OpenAI's API and chat front ends send. The agent's own tools run here; a client's are not used. */
export function toChatRoute(deps: ApiDeps): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/chat/completions",
    scope: "channel",
    about: "Chat Completions. With `stream`, server-sent events of chat.completion.chunk, then `[DONE]`",
    body: Body,
    answer: { about: "A chat.completion, or its chunks as text/event-stream", schema: Answer },
    async run({ body, ...asking }) {
      check(body, deps);
      const conversation = await toConversation(body.messages.map(({ role, content, tool_calls }) => {
        return toSaid(role, content, tool_calls ? JSON.stringify(tool_calls) : "");
      }));
      const asked = toAsked({
        instructions: conversation.instructions,
        format: toFormat(body.response_format),
        maxOutputTokens: body.max_completion_tokens ?? body.max_tokens,
      });
      const session = asking.headers.get("x-oxydra-session") ?? body.metadata?.session_id;
      const turn = await openApiTurn(deps, asking, { conversation, asked, session });
      const headers = toHeaders(turn, ignoredIn(body, OBEYED));
      const head = { id: `chatcmpl-${turn.turn}`, created: Math.floor(deps.now() / 1000), model: body.model };
      if (body.stream !== true) return Response.json(await toAnswer(turn, head), { headers });
      const usage = body.stream_options?.include_usage === true;
      return await streamAnswer(turn, deps, {
        headers,
        write: (pieces) => writeChunks(pieces, turn, { ...head, usage }),
        toFailed: (error) => encodeSse({ body: error }) + DONE,
      });
    },
  });
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/** The one line of a stream that is no JSON. */
const DONE = "data: [DONE]\n\n";

function check(body: Body, { info }: ApiDeps): void {
  checkModel(body.model, info);
  if ((body.n ?? 1) !== 1) refuse("n", "one answer is given to a request");
  if (body.modalities?.some((modality) => modality !== "text")) refuse("modalities", "answers are text");
  checkToolChoice(body.tool_choice);
  checkToolChoice(body.function_call, "function_call");
}

function toFormat(format: Body["response_format"]): z.infer<typeof OutputFormat> | undefined {
  if (format?.type !== "json_schema") return format ?? undefined;
  const { name, schema } = format.json_schema;
  return { type: "json_schema", name, schema };
}

async function toAnswer(turn: ApiTurn, head: Head) {
  const end = await toReply(turn.pieces);
  const message = { role: "assistant", content: end.text, refusal: null };
  return {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: end.finish }],
    usage: toUsage(end.usage),
    oxydra: toOwnField(turn, end),
  };
}

async function* writeChunks(
  pieces: AsyncIterable<Piece>,
  turn: ApiTurn,
  { usage: withUsage, ...head }: Head & { usage: boolean },
) {
  const toChunk = (delta: object, finish: string | null, more: object = {}) => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    const usage = withUsage ? { usage: null } : {};
    return encodeSse({ body: { ...head, object: "chat.completion.chunk", choices, ...usage, ...more } });
  };
  yield toChunk({ role: "assistant", content: "" }, null);
  for await (const piece of pieces) {
    if ("text" in piece) {
      yield toChunk({ content: piece.text }, null);
      continue;
    }
    const { end } = piece;
    yield toChunk({}, end.finish, { oxydra: toOwnField(turn, end) });
    if (withUsage) yield toChunk({}, null, { choices: [], usage: toUsage(end.usage) });
    yield DONE;
  }
}

function toUsage({ promptTokens = 0, completionTokens = 0, totalTokens, cachedTokens, reasoningTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: totalTokens ?? promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens ?? 0 },
  };
}
