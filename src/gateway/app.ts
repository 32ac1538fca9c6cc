import { type Context, Hono } from "hono";
import type { ApprovalResolution, GivenAnswer } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { addressOf, chooseProtocol, type Door, isExpectedPeer, isOwnHost, isOwnOrigin } from "#/gateway/auth.ts";
import { type After, Connection, type ConnectionDeps } from "#/gateway/connection.ts";
import { Gate } from "#/gateway/gate.ts";
import { toHttpError } from "#/gateway/http_error.ts";
import { Hub } from "#/gateway/hub.ts";
import { sweepIdle } from "#/gateway/idle.ts";
import type { GatewayInfo, StartupStatus, TurnAddress } from "#/gateway/server_frame.ts";
import { endWhen } from "#/gateway/stream_end.ts";
import type { Caller, GatewayToken } from "#/gateway/token.ts";
import { Turns } from "#/gateway/turns.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import type { UsageMeter } from "#/gateway/usage_frame.ts";
import type { StopHow } from "#/session/session.ts";
import type { TurnPlace } from "#/session/turn_log.ts";

/** What a gateway is made of. */
export interface GatewayDeps {
  /** Sessions, as the floor below runs them. */
  readonly source: TurnSource;
  readonly log: Pick<
    EventLog,
    "ensureSession" | "session" | "listSessions" | "read" | "turn" | "blob" | "sessions" | "usage"
  >;
  readonly user: string;
  /** What opens this gateway, as it is now: asked for each request; `recheck` is told when it changed. */
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
  /** Has the runner end what a deleted session has there; see `Sandbox.forget`. */
  readonly forget: (session: string) => Promise<void>;
  /** What memory below holds of an idle session may go. */
  readonly letGo?: (session: string) => void;
  /** How many clients are connected, after each change. */
  readonly onClients: (count: number) => void;
  /** How many turns run or wait for their lane, after each change. */
  readonly onTurns?: (count: number) => void;
  /** Told of an error that nobody outside may read, under the id that the client was given. */
  readonly report: (error: unknown, id: string) => void;
  /** A client that answers no ping is let go after this; `wsIdleSecs` when absent. */
  readonly idleSecs?: number;
  /** What is missing before turns can run, in words that anyone may read; nothing when absent. */
  readonly lacking?: () => readonly string[];
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

/** Where a gateway listens, and how it is reached there. */
export interface Address extends Omit<Door, "port" | "isTls"> {
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A gateway; `app` is its HTTP face, which refuses everything until it knows its port. */
export interface Gateway {
  readonly app: Hono;
  /** Listens on this machine's loopback, where its own clients come, and at one address more when there is one. */
  listen(address: Address, also?: Address): Listener;
  /** What opens it has changed: whose token is gone, or expired, is closed with `CLOSE.revoked`; a stream over HTTP ends. */
  recheck(): void;
  /** A person answered, or may have: goes on with the turn that waits for them. */
  readonly resume: (place: TurnPlace, answer: ApprovalResolution | undefined) => void;
  /** Before an orderly restart: takes no new turn, and resolves when none runs any more. Clients stay connected. */
  readonly drain: () => Promise<void>;
}

/**
 * `/ws` for clients (token, own host, own origin, then the reference's protocol version 2), `/v1/…` and `/api/v1/…` for programs (see
 * doors.ts), `/healthz` and `/readyz` for whoever asks from this machine. Throws nothing; `listen` throws what Deno.serve throws (AddrInUse, NotCapable).
 */
export function openGateway(deps: GatewayDeps): Gateway {
  return new House(deps);
}

const afterTimeout: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

const CLOSING = "the gateway is closing";

/** What this process knows of a request beside what it says itself. */
interface Env {
  readonly door: Door;
  /** Address of the other end of its connection. */
  readonly peer: string;
}

/** Nobody who asks these needs a token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz"]);

/** A client over WebSocket. */
interface Client {
  readonly caller: Caller;
  readonly connection: Connection;
  /** Frees its place. */
  readonly release: () => void;
}

class House implements Gateway {
  readonly app = new Hono();
  readonly #deps: GatewayDeps;
  readonly #after: After;
  readonly #turns: Turns;
  readonly #shared: ConnectionDeps;
  readonly #hub = new Hub();
  readonly #gate: Gate;
  readonly #callers = new WeakMap<Request, Caller>();
  readonly #sockets = new Map<WebSocket, Client>();
  /** Streams over HTTP that run, and what ends each. */
  readonly #streams = new Map<AbortController, Caller>();
  #doors: Promise<(request: Request) => Promise<Response>> | undefined;
  #meter: UsageMeter | undefined;
  #cancelCheck: () => void = () => {};
  #cancelSweep: () => void = () => {};
  #draining = false;
  #closing = false;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#after = deps.after ?? afterTimeout;
    const hub = this.#hub;
    this.#gate = new Gate(deps);
    this.#turns = new Turns({ ...deps, hub, onEnd: (ended) => this.#tellUsage(ended) });
    const spend = (caller: Caller) => this.#gate.spend(caller);
    this.#shared = { ...deps, hub, turns: this.#turns, spend, after: this.#after };
    this.app.use(async (c, next) => {
      const { door, peer = "" } = (c.env ?? {}) as Partial<Env>;
      // Before everything else, health included: a page behind a rebound name learns not even that somebody listens here.
      if (door === undefined || !isOwnHost(c.req.raw, door)) return refuse(c, 403, "this host is not served here");
      if (!isExpectedPeer(peer, door)) return refuse(c, 403, "this address is not served here");
      if (!isOwnOrigin(c.req.raw, door)) return refuse(c, 403, "pages of other origins are not served");
      if (OPEN_PATHS.has(c.req.path)) return await next();
      return await this.#pace(c, next);
    });
    this.app.get("/healthz", (c) => c.json({ status: "ok", version: deps.info.version }));
    this.app.get("/readyz", (c) => this.#ready(c));
    for (const path of ["/v1/*", "/api/v1/*"]) this.app.all(path, (c) => this.#serve(c));
    this.app.get("/ws", (c) => this.#upgrade(c));
    this.app.notFound((c) => refuse(c, 404, "not found"));
    this.app.onError((error, c) => {
      const id = crypto.randomUUID();
      deps.report(error, id);
      return refuse(c, 500, `internal error (${id})`);
    });
  }

  listen(address: Address, also?: Address): Listener {
    const main = this.#bind(address);
    const servers = [main.server, ...(also === undefined ? [] : [this.#bind(also).server])];
    this.recheck();
    this.#cancelSweep = sweepIdle({ ...this.#deps, after: afterTimeout, letGo: (session) => this.#letGo(session) });
    let closed: Promise<void> | undefined;
    return { port: main.port, close: (how) => closed ??= this.#close(servers, how) };
  }

  #bind({ hostname, port, tls, ...rest }: Address): { server: Deno.HttpServer; port: number } {
    const handler = (request: Request, { remoteAddr }: Deno.ServeHandlerInfo) =>
      this.app.fetch(request, { door, peer: (remoteAddr as Deno.NetAddr).hostname });
    const server = Deno.serve({ hostname, port, ...tls, onListen() {} }, handler);
    // Which port that is the server knows; it calls nobody before this.
    const door: Door = { ...rest, isTls: tls !== undefined, port: (server.addr as Deno.NetAddr).port };
    return { server, port: door.port };
  }

  recheck(): void {
    for (const { caller, connection } of this.#sockets.values()) if (!this.#gate.isGood(caller)) connection.revoke();
    for (const [end, caller] of this.#streams) if (!this.#gate.isGood(caller)) end.abort();
    this.#cancelCheck();
    const { untilExpiryMs } = this.#gate;
    if (untilExpiryMs === undefined || this.#closing) return;
    this.#cancelCheck = this.#after(Math.min(untilExpiryMs, LIMITS.tokenCheckMs), () => this.recheck());
  }

  readonly resume: Gateway["resume"] = (place, answer) => this.#turns.resume(place, answer);

  readonly drain: Gateway["drain"] = () => {
    this.#draining = true;
    return this.#turns.drain();
  };

  #letGo(session: string): void {
    this.#turns.dropOutcome(session);
    this.#deps.letGo?.(session);
  }

  /** What serves programs is loaded at their first request: a start waits for nothing that it may never need. */
  async #serve(c: Context): Promise<Response> {
    if (this.#closing) return refuse(c, 503, CLOSING);
    this.#doors ??= import("#/gateway/doors.ts").then(({ openDoors }) => openDoors({ ...this.#deps, ...this.#shared }));
    return await (await this.#doors)(c.req.raw);
  }

  async #ready(c: Context): Promise<Response> {
    const reasons = [...this.#deps.lacking?.() ?? []];
    if (this.#closing) reasons.push(CLOSING);
    else if (this.#draining) reasons.push("the gateway restarts");
    try {
      await this.#deps.log.session("readyz");
    } catch {
      reasons.push("the event log does not answer");
    }
    return c.json({ status: reasons.length === 0 ? "ready" : "not ready", reasons }, reasons.length === 0 ? 200 : 503);
  }

  /** Holds whoever asks too often up, and ends a stream when its token ends. Whether the token is good for a route the route says. */
  async #pace(c: Context, next: () => Promise<void>): Promise<Response | void> {
    const request = c.req.raw;
    const { door, peer } = c.env as Env;
    const { caller, waitMs } = await this.#gate.admit(request, addressOf(request, door, peer));
    if (waitMs > 0) {
      c.header("retry-after", String(Math.ceil(waitMs / 1_000)));
      return refuse(c, 429, `too many requests; try again in ${waitMs} ms`);
    }
    if (caller !== undefined) this.#callers.set(request, caller);
    await next();
    if (caller === undefined || !c.res.headers.get("content-type")?.startsWith("text/event-stream")) return;
    const end = new AbortController();
    this.#streams.set(end, caller);
    if (!this.#gate.isGood(caller)) end.abort();
    c.res = endWhen(c.res, end.signal, () => this.#streams.delete(end));
  }

  #tellUsage(ended: TurnAddress): void {
    const hub = this.#hub;
    const session = ended.session.session_id;
    if (!hub.isWatched(session, "usage")) return;
    const told = async () => {
      // It is wanted after the first turn, not before the start.
      const { UsageMeter } = await import("#/gateway/usage_frame.ts");
      const meter = this.#meter ??= new UsageMeter(this.#deps);
      hub.publish(session, [{ frame: await meter.toFrame(ended), droppable: false }]);
    };
    told().catch((error: unknown) => this.#deps.report(error, crypto.randomUUID()));
  }

  #upgrade(c: Context): Response {
    const request = c.req.raw;
    const caller = this.#callers.get(request);
    // Once more: from here to its place among the sockets nothing waits, so no revocation comes between.
    if (caller === undefined || !this.#gate.isGood(caller)) {
      c.header("www-authenticate", "Bearer");
      return refuse(c, 401, "a token is needed: Authorization: Bearer, subprotocol oxydra.token.<token>, or ?token=");
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refuse(c, 426, "this address speaks WebSocket");
    }
    if (this.#closing) return refuse(c, 503, CLOSING);
    if (this.#sockets.size >= LIMITS.clientsMax) return refuse(c, 503, `at most ${LIMITS.clientsMax} clients`);
    if (caller.scope !== "owner" && this.#countOf(caller) >= LIMITS.connectionsPerTokenMax) {
      return refuse(c, 429, `at most ${LIMITS.connectionsPerTokenMax} connections with this token`);
    }
    const protocol = chooseProtocol(request);
    // Deno's own upgrade instead of hono/deno's: the subprotocol is chosen per request, and the raw socket has bufferedAmount,
    // without which a slow reader cannot be bounded.
    const options = {
      idleTimeout: this.#deps.idleSecs ?? LIMITS.wsIdleSecs,
      ...(protocol === undefined ? {} : { protocol }),
    };
    let upgrade: Deno.WebSocketUpgrade;
    try {
      upgrade = Deno.upgradeWebSocket(request, options);
    } catch {
      return refuse(c, 400, "this is not a WebSocket handshake");
    }
    this.#admit(upgrade.socket, caller);
    return upgrade.response;
  }

  #countOf({ id }: Caller): number {
    return [...this.#sockets.values()].filter(({ caller }) => caller.id === id).length;
  }

  #admit(socket: WebSocket, caller: Caller): void {
    socket.binaryType = "arraybuffer";
    const connection = new Connection(socket, this.#shared, caller);
    // A client that left before the answer reached it neither opens nor closes this socket (measured in Deno 2.9.6).
    const cancel = this.#after(LIMITS.helloTimeoutMs, () => release());
    const release = () => {
      cancel();
      connection.closed();
      if (this.#sockets.delete(socket)) this.#deps.onClients(this.#sockets.size);
    };
    this.#sockets.set(socket, { caller, connection, release });
    this.#deps.onClients(this.#sockets.size);
    socket.onopen = cancel;
    socket.onmessage = (event) => void connection.receive(event.data);
    // An error is always followed by close, and close may come twice (measured).
    socket.onerror = () => {};
    socket.onclose = release;
  }

  async #close(servers: readonly Deno.HttpServer[], how: StopHow | undefined): Promise<void> {
    this.#closing = true;
    this.#cancelCheck();
    this.#cancelSweep();
    await this.#within(LIMITS.suspendMs, this.#turns.stop(how));
    this.#hub.endObservers();
    // Deno tells every WebSocket 1001 behind what is queued for it.
    // A client that reads nothing, or left in mid-handshake, holds a shutdown up for ever and nothing cuts it off (measured in Deno
    // 2.9.6); it ends with the process.
    await this.#within(LIMITS.wsFlushMs, Promise.all(servers.map((server) => server.shutdown())));
    for (const { release } of this.#sockets.values()) release();
  }

  async #within(ms: number, work: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#after(ms, late.resolve);
    await Promise.race([work, late.promise]).finally(cancel);
  }
}

function refuse(c: Context, status: 400 | 401 | 403 | 404 | 426 | 429 | 500 | 503, message: string): Response {
  return c.json(toHttpError("gateway_refused", message, status), status);
}
