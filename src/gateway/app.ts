import { type Context, Hono } from "hono";
import type { ApprovalResolution, GivenAnswer } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { chooseProtocol, findCaller, isOwnHost, isOwnOrigin } from "#/gateway/auth.ts";
import { type After, Connection, type ConnectionDeps } from "#/gateway/connection.ts";
import { Directory } from "#/gateway/directory.ts";
import { toHttpError } from "#/gateway/http_error.ts";
import { Hub } from "#/gateway/hub.ts";
import { sweepIdle } from "#/gateway/idle.ts";
import type { GatewayInfo, StartupStatus } from "#/gateway/server_frame.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { Turns } from "#/gateway/turns.ts";
import type { TurnSource } from "#/gateway/turn_record.ts";
import type { StopHow } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What a gateway is made of. */
export interface GatewayDeps {
  /** Sessions, as the floor below runs them. */
  readonly source: TurnSource;
  readonly log: Pick<EventLog, "ensureSession" | "session" | "listSessions" | "read" | "turn" | "blob" | "sessions">;
  readonly user: string;
  /** What opens this gateway, as it is now: asked for each request. */
  readonly tokens: () => readonly GatewayToken[];
  readonly info: GatewayInfo;
  readonly startupStatus: StartupStatus;
  readonly sessionsMax: number;
  readonly sessionIdleMs: number;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** Passes on what a client answered to an approval; see `Sandbox.answer`. */
  readonly answer: (given: GivenAnswer) => Promise<void>;
  /** Runs `work` while no turn runs in a session; one that waits there for a person is ended before. */
  readonly exclusive: <T>(session: string, work: () => Promise<T>) => Promise<T>;
  /** Resolves when it is kept that a session may hold what another one (or, without `from`, anybody) was shown in private. */
  readonly derived: (session: string, from: string | undefined) => Promise<void>;
  /** What memory below holds of an idle session may go. */
  readonly letGo?: (session: string) => void;
  /** How many clients are connected, after each change. */
  readonly onClients: (count: number) => void;
  /** How many turns run or wait for their lane, after each change. */
  readonly onTurns?: (count: number) => void;
  /** Told of an error that nobody outside may read, under the id that the client was given. */
  readonly report: (error: unknown, id: string) => void;
  /** A timer; the platform's when absent. */
  readonly after?: After;
}

/** A gateway that listens. */
export interface Listener {
  readonly port: number;
  /**
   * Suspends the turns (`cancel` ends them as cancelled), tells every client, and stops listening: within `suspendMs` and `wsFlushMs`. A second
   * call waits for the first.
   */
  close(how?: StopHow): Promise<void>;
}

/** A gateway; `app` is its HTTP face, which refuses everything until it knows its port. */
export interface Gateway {
  readonly app: Hono;
  listen(address: { readonly hostname: "127.0.0.1"; readonly port: number }): Listener;
  /** A person answered, or may have: goes on with the turn that waits for them. */
  readonly resume: (place: TurnPlace, answer: ApprovalResolution | undefined) => void;
  /** Before an orderly restart: takes no new turn, and resolves when none runs any more. Clients stay connected. */
  readonly drain: () => Promise<void>;
}

/**
 * `/ws` for clients (token, own host, own origin, then the reference's protocol version 2), `/healthz` for whoever asks from this
 * machine. Throws nothing; `listen` throws what Deno.serve throws (AddrInUse, NotCapable).
 */
export function openGateway(deps: GatewayDeps): Gateway {
  return new House(deps);
}

const afterTimeout: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

class House implements Gateway {
  readonly app = new Hono();
  readonly #deps: GatewayDeps;
  readonly #after: After;
  readonly #turns: Turns;
  readonly #shared: ConnectionDeps;
  /** Every client, and what frees its place. */
  readonly #sockets = new Map<WebSocket, () => void>();
  #doors: Promise<Hono> | undefined;
  #cancelSweep: () => void = () => {};
  #port: number | undefined;
  #closing = false;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#after = deps.after ?? afterTimeout;
    const hub = new Hub();
    this.#turns = new Turns({ ...deps, hub });
    this.#shared = { ...deps, hub, turns: this.#turns, directory: new Directory(deps), after: this.#after };
    this.app.use(async (c, next) => {
      // Before everything else, health included: a page behind a rebound name learns not even that somebody listens here.
      if (this.#port === undefined || !isOwnHost(c.req.raw, this.#port)) {
        return refuse(c, 403, "this host is not served here");
      }
      if (!isOwnOrigin(c.req.raw)) return refuse(c, 403, "pages of other origins are not served");
      return await next();
    });
    this.app.get("/healthz", (c) => c.json({ status: "ok", version: deps.info.version }));
    for (const path of ["/api/v1/sessions", "/api/v1/sessions/*"]) this.app.all(path, (c) => this.#serve(c));
    this.app.get("/ws", (c) => this.#upgrade(c));
    this.app.notFound((c) => refuse(c, 404, "not found"));
    this.app.onError((error, c) => {
      const id = crypto.randomUUID();
      deps.report(error, id);
      return refuse(c, 500, `internal error (${id})`);
    });
  }

  listen(address: { readonly hostname: string; readonly port: number }): Listener {
    const server = Deno.serve({ ...address, onListen() {} }, (request) => this.app.fetch(request));
    this.#port = (server.addr as Deno.NetAddr).port;
    this.#cancelSweep = sweepIdle({ ...this.#deps, after: afterTimeout, letGo: (session) => this.#letGo(session) });
    let closed: Promise<void> | undefined;
    return { port: this.#port, close: (how) => closed ??= this.#close(server, how) };
  }

  readonly resume: Gateway["resume"] = (place, answer) => this.#turns.resume(place, answer);

  readonly drain: Gateway["drain"] = () => this.#turns.drain();

  #letGo(session: string): void {
    this.#turns.dropOutcome(session);
    this.#deps.letGo?.(session);
  }

  /** What serves programs is loaded at their first request: a start waits for nothing that it may never need. */
  async #serve(c: Context): Promise<Response> {
    if (this.#closing) return refuse(c, 503, "the gateway is closing");
    this.#doors ??= this.#openDoors();
    return await (await this.#doors).fetch(c.req.raw);
  }

  async #openDoors(): Promise<Hono> {
    const [{ mountRoutes }, { toSessionRoutes }] = await Promise.all([
      import("#/gateway/route.ts"),
      import("#/gateway/api_sessions.ts"),
    ]);
    const doors = new Hono();
    mountRoutes(doors, toSessionRoutes({ ...this.#deps, turns: this.#turns }), this.#deps);
    doors.notFound((c) => refuse(c, 404, "not found"));
    return doors;
  }

  async #upgrade(c: Context): Promise<Response> {
    const request = c.req.raw;
    if (await findCaller(request, this.#deps.tokens(), this.#deps.now()) === undefined) {
      c.header("www-authenticate", "Bearer");
      return refuse(c, 401, "a token is needed: Authorization: Bearer, subprotocol oxydra.token.<token>, or ?token=");
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refuse(c, 426, "this address speaks WebSocket");
    }
    if (this.#closing) return refuse(c, 503, "the gateway is closing");
    if (this.#sockets.size >= LIMITS.clientsMax) return refuse(c, 503, `at most ${LIMITS.clientsMax} clients`);
    const protocol = chooseProtocol(request);
    // Deno's own upgrade instead of hono/deno's: the subprotocol is chosen per request, and the raw socket has bufferedAmount,
    // without which a slow reader cannot be bounded.
    const options = { idleTimeout: LIMITS.wsIdleSecs, ...(protocol === undefined ? {} : { protocol }) };
    let upgrade: Deno.WebSocketUpgrade;
    try {
      upgrade = Deno.upgradeWebSocket(request, options);
    } catch {
      return refuse(c, 400, "this is not a WebSocket handshake");
    }
    this.#admit(upgrade.socket);
    return upgrade.response;
  }

  #admit(socket: WebSocket): void {
    const connection = new Connection(socket, this.#shared);
    // A client that left before the answer reached it neither opens nor closes this socket (measured in Deno 2.9.6).
    const cancel = this.#after(LIMITS.helloTimeoutMs, () => release());
    const release = () => {
      cancel();
      connection.closed();
      if (this.#sockets.delete(socket)) this.#deps.onClients(this.#sockets.size);
    };
    this.#sockets.set(socket, release);
    this.#deps.onClients(this.#sockets.size);
    socket.onopen = cancel;
    socket.onmessage = (event) => void connection.receive(event.data);
    // An error is always followed by close, and close may come twice (measured).
    socket.onerror = () => {};
    socket.onclose = release;
  }

  async #close(server: Deno.HttpServer, how: StopHow | undefined): Promise<void> {
    this.#closing = true;
    this.#cancelSweep();
    await this.#within(LIMITS.suspendMs, this.#turns.stop(how));
    // Deno tells every WebSocket 1001 behind what is queued for it.
    // A client that reads nothing, or left in mid-handshake, holds a shutdown up for ever and nothing cuts it off (measured in Deno
    // 2.9.6); it ends with the process.
    await this.#within(LIMITS.wsFlushMs, server.shutdown());
    for (const release of this.#sockets.values()) release();
  }

  async #within(ms: number, work: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#after(ms, late.resolve);
    await Promise.race([work, late.promise]).finally(cancel);
  }
}

function refuse(c: Context, status: 400 | 401 | 403 | 404 | 426 | 500 | 503, message: string): Response {
  return c.json(toHttpError("gateway_refused", message, status), status);
}
