import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { isTurnEnd, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { streamAnswer, toHeaders } from "#/gateway/api_answer.ts";
import {
  checkModel,
  checkToolChoice,
  Content,
  ignoredIn,
  Metadata,
  OutputFormat,
  refuse,
  toAsked,
  toSaid,
} from "#/gateway/api_body.ts";
import { toPieces, toReply } from "#/gateway/api_reply.ts";
import { type ApiDeps, type DoorDeps, openApiTurn, visibleTo } from "#/gateway/api_turn.ts";
import { type SaidMessage, toConversation } from "#/gateway/conversation.ts";
import {
  readResponseId,
  type ResponseHead,
  toFailedEvent,
  toResponseId,
  toResponseObject,
  unknownResponse,
  writeResponse,
} from "#/gateway/response_wire.ts";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";

const Item = z.looseObject({
  type: z.string().optional(),
  role: z.enum(["system", "developer", "user", "assistant"]).optional(),
  content: Content.nullish(),
});

/** A request of OpenAI's Responses (platform.openai.com/docs/api-reference/responses); what is not named here is ignored. */
const Body = z.looseObject({
  model: z.string(),
  input: z.union([z.string(), z.array(Item).min(1).max(LIMITS.apiMessagesMax)]),
  instructions: z.string().nullish(),
  previous_response_id: z.string().max(1_024).nullish(),
  conversation: z.union([z.string(), z.looseObject({ id: z.string() })]).nullish(),
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  max_output_tokens: z.number().int().positive().nullish(),
  text: z.looseObject({ format: OutputFormat.nullish() }).nullish(),
  tool_choice: z.unknown().optional(),
  metadata: Metadata,
});
type Body = z.infer<typeof Body>;

const OBEYED: ReadonlySet<string> = new Set(
  ("model input instructions previous_response_id conversation stream background max_output_tokens text metadata " +
    "tool_choice").split(" "),
);

const Answer = z.looseObject({
  id: z.string(),
  object: z.literal("response"),
  status: z.enum(["completed", "incomplete"]),
  output: z.array(z.looseObject({ type: z.literal("message"), role: z.literal("assistant") })),
});

/**
 * `POST /v1/responses`. A response's id names the turn that made it: `previous_response_id` goes on in its session. Everything is recorded,
 * whatever `store` says.
 */
export function toResponsesRoute(deps: ApiDeps): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/responses",
    scope: "channel",
    about: "Responses. With `stream`, server-sent events from response.created to response.completed",
    body: Body,
    answer: { about: "A response, or its events as text/event-stream", schema: Answer },
    async run({ body, ...asking }) {
      check(body, deps);
      const conversation = await toConversation(toMessages(body));
      const asked = toAsked({
        instructions: conversation.instructions,
        format: body.text?.format ?? undefined,
        maxOutputTokens: body.max_output_tokens,
      });
      const from = body.previous_response_id ? readResponseId(body.previous_response_id) : undefined;
      const turn = await openApiTurn(deps, asking, {
        conversation,
        asked,
        session: toSession(body, asking.headers),
        from,
      });
      const headers = toHeaders(turn, ignoredIn(body, OBEYED));
      const head = toHead(toResponseId(turn), Math.floor(deps.now() / 1000), body);
      if (body.stream !== true) {
        return Response.json(toResponseObject(head, turn, await toReply(turn.pieces)), { headers });
      }
      return await streamAnswer(turn, deps, {
        headers,
        write: (pieces) => writeResponse(pieces, turn, head),
        toFailed: (error) => toFailedEvent(error),
      });
    },
  });
}

/** `GET /v1/responses/{id}`: how a response stands by now, e.g. one that waited for an approval. */
export function toResponseRoute(deps: DoorDeps): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/responses/:id",
    scope: ["channel", "read"],
    about: "A response as it stands by now",
    params: z.object({ id: z.string().max(1_024) }),
    answer: { about: "The response; its status says whether it is over", schema: z.looseObject({ id: z.string() }) },
    async run({ params: { id }, caller }) {
      const place = readResponseId(id);
      const row = visibleTo(caller, await deps.log.session(place.session), deps.user);
      const events = row === undefined ? [] : await deps.log.turn(place.session, place.turn);
      const [first, last] = [events[0], events.at(-1)];
      if (first === undefined || last === undefined) throw unknownResponse();
      const head = toHead(id, Math.floor(first.at / 1000));
      if (!isTurnEnd(last) && last.type !== "parked") return toResponseObject(head, place);
      try {
        return toResponseObject(head, place, await toReply(toPieces(from(events))));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const status = error.code === "cancelled" ? "cancelled" : "failed";
        return { ...toResponseObject(head, place), status, error: { code: error.code, message: error.message } };
      }
    },
  });
}

function toHead(id: string, created_at: number, body: Partial<Body> = {}): ResponseHead {
  return {
    id,
    created_at,
    model: body.model ?? "oxydra",
    previous_response_id: body.previous_response_id ?? null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    text: { format: body.text?.format ?? { type: "text" } },
  };
}

async function* from(events: readonly StoredEvent[]) {
  yield* await Promise.resolve(events);
}

function check(body: Body, { info }: ApiDeps): void {
  checkModel(body.model, info);
  if (body.background === true) {
    refuse("background", "post to /api/v1/sessions/{id}/messages instead, which answers at once");
  }
  if (body.previous_response_id && body.conversation) {
    refuse("previous_response_id", "a request goes on from a response or in a conversation, not both");
  }
  checkToolChoice(body.tool_choice);
}

function toMessages({ input, instructions }: Body): SaidMessage[] {
  const said = typeof input === "string" ? [toSaid("user", input)] : input.flatMap((item, index) => {
    // Thoughts of an earlier answer, as clients send them back.
    if (item.type === "reasoning") return [];
    if (item.role !== undefined && (item.type ?? "message") === "message") return [toSaid(item.role, item.content)];
    return refuse(
      `input.${index}.type`,
      `messages are taken; ${String(item.type).slice(0, LIMITS.quotedCharsMax)} is not`,
    );
  });
  return instructions ? [toSaid("system", instructions), ...said] : said;
}

function toSession({ conversation, metadata }: Body, headers: Headers): string | undefined {
  const named = typeof conversation === "string" ? conversation : conversation?.id;
  return headers.get("x-oxydra-session") ?? named ?? metadata?.session_id;
}
