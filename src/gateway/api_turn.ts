import { AppError } from "#/core/error.ts";
import type { AskedOfTurn, StoredEvent } from "#/core/event.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog, SessionRow } from "#/core/store.ts";
import { type Piece, type ReplyEnd, toPieces } from "#/gateway/api_reply.ts";
import type { After } from "#/gateway/connection.ts";
import { type Conversation, type SaidMessage, toChain, withEarlier } from "#/gateway/conversation.ts";
import { type Conversations, toTurnId } from "#/gateway/conversations.ts";
import type { Hub } from "#/gateway/hub.ts";
import { isVisibleTo, toTokenChannel } from "#/gateway/directory.ts";
import { followTurn } from "#/gateway/follow.ts";
import { ReplyText } from "#/gateway/reply_text.ts";
import type { RouteInput } from "#/gateway/route.ts";
import type { GatewayInfo } from "#/gateway/server_frame.ts";
import type { Caller } from "#/gateway/token.ts";
import type { Turns } from "#/gateway/turns.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What the doors over HTTP are made of. */
export interface DoorDeps {
  readonly turns: Turns;
  readonly hub: Hub;
  readonly log: Pick<EventLog, "session" | "listSessions" | "read" | "turn">;
  readonly user: string;
  readonly info: GatewayInfo;
  readonly after: After;
  /**
   * Resolves when it is kept that a session may hold what another one (or, without `from`, anybody) was shown in private: what leaves it is asked
   * about. Absent while nothing below keeps that.
   */
  readonly derived?: (session: string, from: string | undefined) => Promise<void>;
  /** Integer ms UTC. */
  readonly now: () => number;
  readonly report: (error: unknown, id: string) => void;
}

/** The same, with what the API remembers of its conversations. */
export interface ApiDeps extends DoorDeps {
  readonly conversations: Conversations;
}

/** Who asks, and how. */
export type Asking = Pick<RouteInput<unknown, unknown, unknown>, "caller" | "headers" | "signal">;

/** What a request of the API comes to. */
export interface ApiRequest {
  readonly conversation: Conversation;
  readonly asked: AskedOfTurn;
  /** The session that it names. */
  readonly session: string | undefined;
  /** The turn that it goes on from (`previous_response_id`). */
  readonly from?: TurnPlace | undefined;
}

/** A turn of the API that was asked for; nothing runs before the first piece is asked for. */
export interface ApiTurn extends TurnPlace {
  readonly pieces: AsyncGenerator<Piece, void, void>;
  /** The client has left. */
  readonly left: () => void;
}

/** What a client may name a session that is not there yet, as for clients over WebSocket; what begins like ours is not theirs to name. */
const NEW_SESSION_ID = /^(?!runtime-|api-)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const KEY = /^[\x21-\x7e]{1,128}$/;

/** A session that the caller may see (`isVisibleTo`), or undefined. Pure. */
export function visibleTo(caller: Caller, row: SessionRow | undefined, user: string): SessionRow | undefined {
  return row !== undefined && isVisibleTo(caller, row, user) ? row : undefined;
}

/** The client's own name for its request (`Idempotency-Key`), or a new one. Throws AppError `usage`. */
export function keyOf(headers: Headers, now: number): string {
  const key = headers.get("idempotency-key") ?? uuidv7(now);
  if (KEY.test(key)) return key;
  throw new AppError("usage", "Idempotency-Key: 1 to 128 visible ASCII characters");
}

/**
 * Finds or makes the session of a request and gets its turn ready. A client that leaves cancels the turn, as model servers do, unless it sent an
 * `Idempotency-Key`: then it means to come back. Throws AppError `session_unknown`, `usage`.
 */
export async function openApiTurn(deps: ApiDeps, asking: Asking, request: ApiRequest): Promise<ApiTurn> {
  const { caller, headers } = asking;
  const key = keyOf(headers, deps.now());
  const place = await toPlace(deps, caller, request, key);
  const left = new AbortController();
  const signal = AbortSignal.any([asking.signal, left.signal]);
  const message = {
    ...place,
    channel: toTokenChannel(caller),
    requestId: place.turn,
    attachments: request.conversation.attachments,
    asked: request.asked,
  };
  const events = followTurn(message, deps, { signal, cancels: !headers.has("idempotency-key") });
  const { before, after } = request.conversation;
  const pieces = withTip(toPieces(events), {
    async ended({ text, seq }) {
      const tip = await toChain(after, [{ role: "assistant", text, media: [] }]);
      deps.conversations.note(toTokenChannel(caller), tip, { session: place.session, seq });
    },
    refused: () => deps.conversations.giveBack(toTokenChannel(caller), { turn: place.turn, before }),
  });
  return { session: place.session, turn: place.turn, pieces, left: () => left.abort() };
}

/** Notes where the conversation stands before its client can know. */
async function* withTip(
  pieces: AsyncIterable<Piece>,
  notes: { readonly ended: (end: ReplyEnd) => Promise<void>; readonly refused: () => void },
): AsyncGenerator<Piece, void, void> {
  try {
    for await (const piece of pieces) {
      if ("end" in piece) await notes.ended(piece.end);
      yield piece;
    }
  } catch (error) {
    // What had begun says that it is not to be repeated.
    if (error instanceof AppError && error.params["retry"] !== false) notes.refused();
    throw error;
  }
}

async function toPlace(
  deps: ApiDeps,
  caller: Caller,
  request: ApiRequest,
  key: string,
): Promise<TurnPlace & { readonly text: string }> {
  const { conversation: { text, before, after } } = request;
  if (request.from !== undefined) return await goOn(deps, caller, { ...request, from: request.from }, key);
  if (request.session !== undefined) {
    const session = await nameSession(deps, caller, request.session);
    const [first] = await deps.log.read(session, { fromSeq: 1, limit: 1, types: ["user_message"] });
    const isNew = first === undefined || first.turn === key;
    return { session, turn: key, text: isNew ? await toFirst(deps, session, request.conversation) : text };
  }
  const turn = toTurnId(after, key);
  const fresh = await freshId(caller, turn);
  const session = await deps.conversations.place(toTokenChannel(caller), { turn, before, fresh });
  return { session, turn, text: session === fresh ? await toFirst(deps, session, request.conversation) : text };
}

/** The first message of a session. What was said before may have been said by this agent, in a session that had read the vault. */
async function toFirst(deps: DoorDeps, session: string, { text, earlier }: Conversation): Promise<string> {
  if (earlier.length > 0) await deps.derived?.(session, undefined);
  return withEarlier(text, earlier);
}

async function nameSession(deps: DoorDeps, caller: Caller, name: string): Promise<string> {
  const row = await deps.log.session(name.slice(0, LIMITS.logIdCharsMax));
  if (row?.id === name && visibleTo(caller, row, deps.user)) return name;
  // A channel's names are its own: else it could take one that somebody else will want.
  if (caller.scope === "channel") return await freshId(caller, `name ${name}`);
  if (row === undefined && NEW_SESSION_ID.test(name)) return name;
  throw unknownSession(name);
}

/** From a response: in its session, or, when that has gone on since, in a new one that is told what was said until then. */
async function goOn(
  deps: ApiDeps,
  caller: Caller,
  { conversation, from }: ApiRequest & { readonly from: TurnPlace },
  key: string,
): Promise<TurnPlace & { readonly text: string }> {
  const { session } = from;
  const row = visibleTo(caller, await deps.log.session(session), deps.user);
  const last = row === undefined ? undefined : (await deps.log.turn(session, from.turn)).at(-1);
  if (last === undefined) throw unknownSession(session);
  const [next] = await deps.log.read(session, { fromSeq: last.seq + 1, limit: 1, types: ["user_message"] });
  if (next === undefined || next.turn === key) return { session, turn: key, text: conversation.text };
  const types = ["user_message", "steering", "model_result"] as const;
  const events = await deps.log.read(session, { fromSeq: 1, limit: LIMITS.historyEventsMax, types });
  const earlier = toEarlier(events.filter(({ seq }) => seq <= last.seq));
  const branch = await freshId(caller, `${session} ${key}`);
  await deps.derived?.(branch, session);
  return { session: branch, turn: key, text: withEarlier(conversation.text, earlier) };
}

function toEarlier(events: readonly StoredEvent[]): SaidMessage[] {
  const earlier: SaidMessage[] = [];
  let reply = new ReplyText();
  for (const event of events) {
    if (event.type === "user_message" || event.type === "steering") {
      earlier.push({ role: "user", text: event.payload.text, media: [] });
      reply = new ReplyText();
      continue;
    }
    const said = earlier.at(-1);
    const text = reply.take(event);
    if (said?.role === "assistant") earlier[earlier.length - 1] = { ...said, text: said.text + text };
    else earlier.push({ role: "assistant", text, media: [] });
  }
  return earlier;
}

async function freshId(caller: Caller, name: string): Promise<string> {
  return `api-${(await sha256Hex(`${caller.id}\n${name}`)).slice(0, 40)}`;
}

/** The same words whether it is not there or somebody else's. */
export function unknownSession(id: string): AppError {
  return new AppError("session_unknown", `there is no session \`${id.slice(0, LIMITS.quotedCharsMax)}\``);
}
