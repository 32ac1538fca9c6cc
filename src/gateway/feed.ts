import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { isStored, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { toTokenChannel } from "#/gateway/directory.ts";
import { type DoorDeps, keyOf, unknownSession, visibleTo } from "#/gateway/api_turn.ts";
import { toInlineMedia } from "#/gateway/attachments.ts";
import { EventQueue, readOn, type Told } from "#/gateway/event_queue.ts";
import { followTurn } from "#/gateway/follow.ts";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";
import { encodeSse, toSseResponse } from "#/gateway/sse.ts";
import { toPublicEvent } from "#/gateway/public_event.ts";

const SessionParams = z.object({ id: z.string().min(1).max(LIMITS.logIdCharsMax) });
const Position = z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

const Message = z.strictObject({
  text: z.string().max(LIMITS.promptCharsMax).default(""),
  attachments: z.array(z.strictObject({ mime_type: z.string(), data: z.string() })).default([]),
  turn_id: z.string().regex(/^[\x21-\x7e]{1,128}$/).optional(),
});

const Taken = z.object({ session_id: z.string(), turn_id: z.string(), recorded: z.boolean() });

/** The doors to one session's events and to its next turn, for programs. */
export function toFeedRoutes(deps: DoorDeps): readonly AnyRoute[] {
  return [toFeedRoute(deps), toMessageRoute(deps)];
}

/**
 * `GET /api/v1/sessions/{id}/feed`: every recorded event behind the given one, once and in order, from the log and then as they come, and
 * live ones beside them. Ends when the session is deleted or the gateway closes.
 */
function toFeedRoute(deps: DoorDeps): AnyRoute {
  /** Whose feeds are open, by the id of the token. */
  const readers: string[] = [];
  return defineRoute({
    method: "get",
    path: "/api/v1/sessions/:id/feed",
    scope: ["read", "channel"],
    about:
      "Server-sent events of a session: `recorded` with its place in the log as id, `live` without. Goes on behind `Last-Event-ID`",
    params: SessionParams,
    query: z.object({ after: Position.optional() }),
    answer: { about: "The events", contentType: "text/event-stream" },
    async run({ params: { id }, query, caller, headers, signal }) {
      if (visibleTo(caller, await deps.log.session(id), deps.user) === undefined) throw unknownSession(id);
      const position = Position.safeParse(headers.get("last-event-id") ?? query.after ?? 0);
      if (!position.success) throw new AppError("usage", "Last-Event-ID is the id of an event of this feed");
      // One token takes none of the owner's.
      const isOwner = caller.scope === "owner";
      const max = isOwner ? LIMITS.feedsMax : LIMITS.connectionsPerTokenMax;
      const own = isOwner ? readers : readers.filter((reader) => reader === caller.id);
      if (own.length >= max || readers.length >= LIMITS.feedsMax) {
        throw new AppError("queue_full", `at most ${max} feeds are open at once`);
      }
      readers.push(caller.id);
      const queue = new EventQueue({ missed: true });
      const unobserve = deps.hub.observe(id, queue);
      const leave = () => queue.end();
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) leave();
      const stopLooking = lookOften(deps, id, queue);
      const close = () => {
        readers.splice(readers.indexOf(caller.id), 1);
        stopLooking();
        unobserve();
        signal.removeEventListener("abort", leave);
      };
      const texts = toTexts(deps, id, { queue, after: position.data, close });
      return toSseResponse(texts, { after: deps.after, left: leave });
    },
  });
}

/** Looks now and then for what nobody told of: another process may have written, and the session may be gone. Returns what ends that. */
function lookOften({ log, after }: DoorDeps, session: string, queue: EventQueue): () => void {
  let cancel = () => {};
  let isOver = false;
  const look = async () => {
    const row = await log.session(session).catch(() => null);
    if (row === undefined) queue.end();
    else queue.look();
    if (!isOver) cancel = after(LIMITS.sseHeartbeatMs, look);
  };
  cancel = after(LIMITS.sseHeartbeatMs, look);
  return () => {
    isOver = true;
    cancel();
  };
}

interface Feed {
  readonly queue: EventQueue;
  readonly after: number;
  readonly close: () => void;
}

async function* toTexts({ log, report }: DoorDeps, session: string, feed: Feed): AsyncGenerator<string, void, void> {
  const readAfter = async function* (seq: number): AsyncGenerator<StoredEvent> {
    for (let from = seq + 1;;) {
      const page = await log.read(session, { fromSeq: from, limit: LIMITS.feedPageEventsMax });
      yield* page;
      if (page.length < LIMITS.feedPageEventsMax) return;
      from = page.at(-1)!.seq + 1;
    }
  };
  try {
    // Said at once: the reader knows that it is heard, however quiet the session is.
    yield ": open\n\n";
    for await (const told of readOn(feed.queue, { after: feed.after, isWhole: true, readAfter })) yield toText(told);
  } catch (error) {
    // What the reader has not got, it asks for by its Last-Event-ID.
    report(error, crypto.randomUUID());
  } finally {
    feed.close();
  }
}

function toText({ turn, event }: Told): string {
  if (!isStored(event)) return encodeSse({ name: "live", body: { live: true, turn, ...event } });
  const id = event.seq === 0 ? {} : { id: event.seq };
  return encodeSse({ ...id, name: "recorded", body: toPublicEvent(event) });
}

/** `POST /api/v1/sessions/{id}/messages`: starts a turn and does not wait for its end. The same turn id again is a retry. */
function toMessageRoute(deps: DoorDeps): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/api/v1/sessions/:id/messages",
    scope: "channel",
    about:
      "Sends a message to a session; the turn runs on its own. `turn_id` or `Idempotency-Key` makes a repeated request the same turn",
    params: SessionParams,
    body: Message,
    answer: {
      about:
        "202: the message is taken. While it is not `recorded` it waits, and a restart loses it: send it again then",
      schema: Taken,
      status: 202,
    },
    async run({ params: { id }, body, caller, headers, signal }) {
      if (visibleTo(caller, await deps.log.session(id), deps.user) === undefined) throw unknownSession(id);
      const attachments = toInlineMedia(body.attachments);
      if (body.text.trim() === "" && attachments.length === 0) throw new AppError("usage", "the message is empty");
      const turn = body.turn_id ?? keyOf(headers, deps.now());
      const message = {
        session: id,
        turn,
        text: body.text,
        channel: toTokenChannel(caller),
        requestId: turn,
        attachments,
        asked: { origin: "api" } as const,
      };
      const recorded = await accept(followTurn(message, deps, { signal, cancels: false }), deps);
      return Response.json({ session_id: id, turn_id: turn, recorded }, { status: 202 });
    },
  });
}

/** Waits until the turn has begun, which is true, or it is clear that it waits for its place; throws what it is refused with. */
async function accept(events: AsyncGenerator<SessionEvent>, { after }: DoorDeps): Promise<boolean> {
  const first = events.next();
  const waits = Promise.withResolvers<void>();
  const cancel = after(LIMITS.acceptMs, waits.resolve);
  try {
    const event = await Promise.race([first.then(({ value }) => value), waits.promise]);
    const isRecorded = event !== undefined && isStored(event) && event.seq > 0;
    if (!isRecorded && event?.type === "turn_failed") throw new AppError(event.payload.code, event.payload.message);
    return isRecorded;
  } finally {
    cancel();
    // The turn goes on; nobody follows it here.
    first.then(() => events.return(undefined)).catch(() => {});
  }
}
