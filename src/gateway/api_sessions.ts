import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionOverview, SessionStore } from "#/core/session_store.ts";
import type { EventLog } from "#/core/store.ts";
import type { Hub } from "#/gateway/hub.ts";
import { toPrintable } from "#/lib/printable.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { isVisibleTo, toTokenChannel } from "#/gateway/directory.ts";
import { makeRoom, type RoomDeps } from "#/gateway/room.ts";
import { toPublicEvent } from "#/gateway/public_event.ts";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";
import type { Caller } from "#/gateway/token.ts";
import type { Turns } from "#/gateway/turns.ts";

/** What the doors to sessions are made of. */
export interface SessionApiDeps extends RoomDeps {
  readonly turns: Turns;
  readonly hub: Pick<Hub, "endObservers">;
  readonly log: RoomDeps["log"] & Pick<EventLog, "ensureSession">;
  /** Runs `work` while no turn runs in a session. */
  readonly exclusive: <T>(session: string, work: () => Promise<T>) => Promise<T>;
  /** A session has what another one said, or, without `from`, what somebody else's file says: it may be private. Resolves when that is kept. */
  readonly derived: (session: string, from: string | undefined) => Promise<void>;
  /** Has the runner end what a deleted session has there; see `Sandbox.forget`. */
  readonly forget: (session: string) => Promise<void>;
  readonly report: (error: unknown, id: string) => void;
}

const Id = z.string().min(1).max(LIMITS.logIdCharsMax);
const Params = z.object({ id: Id });
// Clients of the reference show a name as it is: no control characters, which move a terminal.
const Name = z.string().max(LIMITS.sessionNameCharsMax).refine((text) =>
  text.isWellFormed() && text === toPrintable(text)
);
const Flag = z.enum(["true", "false"]).default("false").transform((text) => text === "true");
const Count = (max: number, most: number) => z.coerce.number().int().min(1).max(most).default(max);
const Place = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const Text = z.string().max(LIMITS.steeringCharsMax).regex(/\S/, "the message is empty");

/** A session as the API shows it; times are RFC 3339. */
export const ApiSession = z.object({
  id: z.string(),
  name: z.string().nullable(),
  agent: z.string(),
  channel: z.string(),
  parent: z.string().nullable(),
  created_at: z.string(),
  last_active_at: z.string(),
  archived: z.boolean(),
  turns: z.number(),
  events: z.number(),
  last_text: z.string().nullable(),
  active_turn: z.string().nullable(),
});
export type ApiSession = z.infer<typeof ApiSession>;

const NDJSON = "application/x-ndjson";
const USERS = ["read", "channel"] as const;
const WRITERS = ["channel"] as const;

/** `GET /api/v1/sessions` and what is below it, but for the feed and messages. */
export function toSessionRoutes(deps: SessionApiDeps): readonly AnyRoute[] {
  const desk = new Desk(deps);
  return [
    listRoute(desk),
    createRoute(desk),
    importRoute(desk),
    defineRoute({
      method: "get",
      path: "/api/v1/sessions/:id",
      scope: USERS,
      about: "One session",
      params: Params,
      answer: { about: "The session", schema: ApiSession },
      run: async ({ params, caller }) => desk.show(await desk.own(params.id, caller)),
    }),
    defineRoute({
      method: "patch",
      path: "/api/v1/sessions/:id",
      scope: "owner",
      about: "Names a session (null takes its name away), archives it or takes it back",
      params: Params,
      body: z.strictObject({ name: Name.nullable().optional(), archived: z.boolean().optional() }),
      answer: { about: "The session", schema: ApiSession },
      run: async ({ params, body, caller }) => {
        const { id } = await desk.own(params.id, caller);
        const { name, archived } = body;
        const named = name === undefined ? {} : { displayName: name };
        await (await desk.store()).update(id, { ...named, ...(archived === undefined ? {} : { archived }) });
        return desk.show(await desk.own(id, caller));
      },
    }),
    defineRoute({
      method: "delete",
      path: "/api/v1/sessions/:id",
      scope: "owner",
      about: "Forgets a session: cancels what runs in it and deletes what it holds",
      params: Params,
      answer: {
        about: "How much was deleted",
        schema: z.object({ events: z.number(), blobs: z.number(), bytes: z.number() }),
      },
      run: async ({ params, caller }) => await desk.forget((await desk.own(params.id, caller)).id),
    }),
    eventsRoute(desk),
    exportRoute(desk),
    cancelRoute(desk),
    steerRoute(desk),
  ];
}

/** What the routes share: who may see what, and the store. */
class Desk {
  readonly deps: SessionApiDeps;

  constructor(deps: SessionApiDeps) {
    this.deps = deps;
  }

  store(): Promise<SessionStore> {
    return this.deps.log.sessions();
  }

  /** The session, if the caller may see it. One that is not there and somebody else's are the same: AppError `session_unknown`. */
  async own(id: string, caller: Caller): Promise<SessionOverview> {
    const unknown = new AppError("session_unknown", `there is no session \`${id.slice(0, LIMITS.quotedCharsMax)}\``);
    const row = await (await this.store()).overview(id).catch((error: unknown) => {
      if (error instanceof AppError && error.code === "session_unknown") throw unknown;
      throw error;
    });
    // What a store makes of an odd id (a NUL cuts it off) must not be another session.
    if (row.id !== id || !isVisibleTo(caller, row, this.deps.user)) throw unknown;
    return row;
  }

  show(row: SessionOverview): ApiSession {
    return {
      id: row.id,
      name: row.displayName,
      agent: row.agent,
      channel: row.channel,
      parent: row.parent,
      created_at: new Date(row.createdAt).toISOString(),
      last_active_at: new Date(row.lastActiveAt).toISOString(),
      archived: row.archived,
      turns: row.turns,
      events: row.lastSeq,
      last_text: row.lastText?.toWellFormed() ?? null,
      active_turn: this.deps.turns.active(row.id)?.turn_id ?? null,
    };
  }

  async forget(id: string) {
    const { turns, exclusive } = this.deps;
    // What is recorded behind the deletion would stay.
    await turns.drop(id, "its session is deleted");
    return await exclusive(id, async () => {
      turns.dropOutcome(id);
      // Within the lane: the next turn of this name finds nothing of the old ones.
      const ended = this.#end(id);
      const forgotten = await (await this.store()).forget(id);
      this.deps.hub.endObservers(id);
      await ended;
      return forgotten;
    });
  }

  /** Never rejects: a runner that cannot be told, or is slow, keeps nobody from deleting. What it then still has ends when it was idle for long. */
  async #end(id: string): Promise<void> {
    const { forget, report } = this.deps;
    const told = Promise.try(() => forget(id)).catch((error: unknown) => report(error, crypto.randomUUID()));
    await untilAborted(told, AbortSignal.timeout(LIMITS.sessionEndMs));
  }
}

function listRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/api/v1/sessions",
    scope: USERS,
    about: "Sessions, the last active first; `next` of an answer is the `cursor` of the request for those behind them",
    query: z.object({
      archived: Flag,
      channel: Name.optional(),
      prefix: z.string().max(LIMITS.logIdCharsMax).optional(),
      cursor: z.string().max(2 * LIMITS.logIdCharsMax).optional(),
      limit: Count(50, LIMITS.sessionsPageMax),
    }),
    answer: { about: "Sessions", schema: z.object({ sessions: z.array(ApiSession), next: z.string().nullable() }) },
    async run({ query: { archived, channel, prefix, cursor, limit }, caller }) {
      const only = caller.scope === "channel" ? toTokenChannel(caller) : channel;
      const rows = await (await desk.store()).list(desk.deps.user, {
        includeArchived: archived,
        ...(only === undefined ? {} : { channel: only }),
        ...(prefix === undefined ? {} : { prefix }),
        ...(cursor === undefined ? {} : { after: toCursor(cursor) }),
        limit: limit + 1,
      });
      const last = rows.length > limit ? rows[limit - 1]! : undefined;
      const next = last === undefined ? null : `${last.lastActiveAt}.${encodeURIComponent(last.id)}`;
      return { sessions: rows.slice(0, limit).map((row) => desk.show(row)), next };
    },
  });
}

function toCursor(text: string): { lastActiveAt: number; id: string } {
  const [, at, id] = /^(\d{1,15})\.(.+)$/.exec(text) ?? [];
  try {
    if (id !== undefined) return { lastActiveAt: Number(at), id: decodeURIComponent(id) };
  } catch {
    // No escape of a URL: told below.
  }
  throw new AppError("usage", "the query, cursor: this is no `next` of an earlier answer");
}

function createRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/api/v1/sessions",
    scope: WRITERS,
    about:
      "A new session, empty or a branch: `branch_of` is copied up to and with its event `at`, its newest when absent",
    body: z.strictObject({
      name: Name.nullable().default(null),
      agent: Name.min(1).optional(),
      branch_of: Id.optional(),
      at: z.number().int().min(1).optional(),
    }),
    answer: { about: "The session", schema: ApiSession },
    async run({ body: { name, agent, branch_of, at }, caller }) {
      const { deps } = desk;
      if (at !== undefined && branch_of === undefined) throw new AppError("usage", "the body, at: without branch_of");
      const source = branch_of === undefined ? undefined : await desk.own(branch_of, caller);
      await makeRoom(deps);
      const id = uuidv7(deps.now());
      const channel = toTokenChannel(caller);
      if (source === undefined) {
        const row = { id, user: deps.user, agent: agent ?? "default", channel, displayName: name, parent: null };
        await deps.log.ensureSession(row);
      } else {
        // Before there is anything to say in it: what the other session has seen this one has seen.
        await deps.derived(id, source.id);
        const own = { id, displayName: name, channel, ...(agent === undefined ? {} : { agent }) };
        await (await desk.store()).branch(source.id, at, own);
      }
      return desk.show(await desk.own(id, caller));
    },
  });
}

function importRoute(desk: Desk): AnyRoute {
  let running = 0;
  return defineRoute({
    method: "post",
    path: "/api/v1/sessions/import",
    scope: "owner",
    about:
      "A session from the lines that an export wrote, as the body; a file that is not whole and unchanged is refused with the line",
    answer: { about: "The session", schema: ApiSession },
    async run({ stream, caller }) {
      const { deps } = desk;
      if (stream === null) throw new AppError("usage", "the body is the file");
      if (running >= LIMITS.importsMax) {
        throw new AppError("queue_full", `at most ${LIMITS.importsMax} imports at once`);
      }
      running++;
      try {
        await makeRoom(deps);
        const into = { user: deps.user, channel: "import", onId: (id: string) => deps.derived(id, undefined) };
        const { id } = await (await desk.store()).importLines(stream, into);
        return desk.show(await desk.own(id, caller));
      } finally {
        running--;
      }
    },
  });
}

function eventsRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/api/v1/sessions/:id/events",
    scope: USERS,
    about: "Recorded events from a place on, in their order; `next` is the place to go on from",
    params: Params,
    query: z.object({ from: Place.default(1), limit: Count(100, LIMITS.eventsPageMax) }),
    answer: { about: "Events", schema: z.object({ events: z.array(z.unknown()), next: z.number().nullable() }) },
    async run({ params, query: { from, limit }, caller }) {
      const { id, lastSeq } = await desk.own(params.id, caller);
      const { events, toSeq } = await (await desk.store()).readPage(id, { fromSeq: from, toSeq: lastSeq, limit });
      return { events: events.map(toPublicEvent), next: toSeq < lastSeq ? toSeq + 1 : null };
    },
  });
}

function exportRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/api/v1/sessions/:id/export",
    scope: "owner",
    about:
      "The whole session as JSON lines, blobs and what vendors sealed included; the last line says that it is whole",
    params: Params,
    answer: { about: "JSON lines", contentType: NDJSON },
    async run({ params, caller }) {
      const { id } = await desk.own(params.id, caller);
      const lines = (await desk.store()).exportLines(id);
      const body = ReadableStream.from(lines).pipeThrough(new TextEncoderStream());
      return new Response(body, { headers: { "content-type": NDJSON, "cache-control": "no-store" } });
    },
  });
}

function cancelRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/api/v1/sessions/:id/cancel",
    scope: WRITERS,
    about: "Cancels a turn, running or queued; without `turn_id` the one that the session works on",
    params: Params,
    body: z.strictObject({ turn_id: z.string().max(LIMITS.idCharsMax).default("") }),
    answer: { about: "Whether there was such a turn", schema: z.object({ cancelled: z.boolean() }) },
    run: async ({ params, body, caller }) => {
      const { id } = await desk.own(params.id, caller);
      return { cancelled: desk.deps.turns.cancel(id, body.turn_id) };
    },
  });
}

function steerRoute(desk: Desk): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/api/v1/sessions/:id/steer",
    scope: WRITERS,
    about:
      "Says something to the turn that runs; answered when that is on record, there or as a turn of its own whose id is `message_id`",
    params: Params,
    body: z.strictObject({ turn_id: z.string().max(LIMITS.idCharsMax).default(""), message_id: Id, text: Text }),
    answer: { about: "How it was taken", schema: z.object({ how: z.enum(["injected", "queued"]) }) },
    async run({ params, body: { turn_id, message_id, text }, caller }) {
      const { id } = await desk.own(params.id, caller);
      const message = {
        id: message_id,
        text: text.toWellFormed(),
        channel: toTokenChannel(caller),
        requestId: message_id,
      };
      return { how: await desk.deps.turns.steer({ session: id, turn: turn_id }, message) };
    },
  });
}
