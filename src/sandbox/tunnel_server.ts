import { connect, createServer, type Server, type Socket } from "node:net";
import { AppError } from "#/core/error.ts";
import { type LimitName, LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { type EgressNet, openConnection, openSocket } from "#/sandbox/egress_connect.ts";
import { toEgressError } from "#/sandbox/egress_exchange.ts";
import type { TunnelAsk, TunnelEnd, TunnelRoute } from "#/sandbox/tunnel_frames.ts";
import {
  ProxyRefusal,
  type ProxyRequest,
  toBytes,
  toProxyRequest,
  toRefusal,
  toRefusalBytes,
} from "#/sandbox/tunnel_head.ts";

/** What a server of ways out stands on. */
export interface TunnelServerDeps {
  /** Before anything is resolved. Throws AppError `egress_denied` with the reason. */
  readonly ask: (ask: TunnelAsk, signal: AbortSignal) => Promise<TunnelRoute>;
  readonly onEnd: (end: TunnelEnd) => void;
  readonly net: EgressNet;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly limits: Readonly<Record<Extract<LimitName, `tunnel${string}`>, number>>;
}

/** One way out: its listening socket, what it carries, and how much it has carried. */
interface Tunnel {
  readonly server: Server;
  up: number;
  down: number;
}

/** HTTP proxies on Unix sockets, one a tunnel: `CONNECT`, and one absolute-form request a connection. After its head a connection is bytes. */
export class TunnelServer {
  readonly #deps: TunnelServerDeps;
  readonly #tunnels = new Map<number | null, Tunnel>();
  readonly #connections = new Set<Connection>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(deps: TunnelServerDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.watch(), deps.limits.tunnelWatchMs);
  }

  /** Listens for a tunnel; for null, for the other egress process, which names one in each request. Throws what the platform throws. */
  async listen(tunnel: number | null, path: string): Promise<void> {
    await this.end(tunnel);
    // What a process that was killed left behind.
    await Deno.remove(path).catch(() => {});
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(tunnel, socket));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen({ path }, resolve);
    await promise;
    // Whoever is behind the walls may have another uid; the folder above is the runner's alone.
    await Deno.chmod(path, 0o666);
    this.#tunnels.set(tunnel, { server, up: 0, down: 0 });
  }

  /** Asks again about what a tunnel carries, or is about to, and ends what is refused. */
  async check(tunnel: number): Promise<void> {
    const carried = [...this.#connections].filter((one) => one.ask?.tunnel === tunnel);
    await Promise.all(carried.map(async (one) => {
      try {
        await this.#deps.ask(one.ask!, one.signal);
      } catch (error) {
        one.end(toRefusal(error));
      }
    }));
  }

  /** Ends a tunnel and what it carries. */
  async end(tunnel: number | null): Promise<void> {
    const known = this.#tunnels.get(tunnel);
    this.#tunnels.delete(tunnel);
    const closed = new ProxyRefusal(503, "The way out is closed");
    for (const one of this.#connections) if (one.listener === tunnel || one.ask?.tunnel === tunnel) one.end(closed);
    if (known !== undefined) await new Promise<void>((resolve) => known.server.close(() => resolve()));
  }

  /** Ends all. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#tunnels.keys()].map((tunnel) => this.end(tunnel)));
  }

  /** Ends what is over its time; called by a timer. */
  watch(): void {
    const now = this.#deps.now();
    const late = new ProxyRefusal(504, "It took too long");
    for (const one of this.#connections) if (now > one.deadline) one.end(late);
  }

  #accept(tunnel: number | null, socket: Socket): void {
    const { limits, now } = this.#deps;
    const connection = new Connection(tunnel, socket, now, limits);
    const own = [...this.#connections].filter(({ listener }) => listener === tunnel).length;
    const isFull = this.#connections.size >= limits.tunnelConnectionsAllMax ||
      // From the other process come those of every tunnel.
      (tunnel !== null && own >= limits.tunnelConnectionsMax);
    if (isFull) return connection.refuse(new ProxyRefusal(503, "Too many connections at once"));
    this.#connections.add(connection);
    socket.once("close", () => this.#connections.delete(connection));
    void this.#serve(connection);
  }

  async #serve(connection: Connection): Promise<void> {
    let host = "the server";
    try {
      const request = toProxyRequest(await connection.readHead());
      const { host: name, port } = request.target;
      host = name;
      const tunnel = connection.listener ?? request.tunnel;
      if (tunnel === undefined) throw new ProxyRefusal(400, "No tunnel is named");
      connection.ask = { tunnel, host, port };
      connection.to("connecting");
      const route = await this.#deps.ask(connection.ask, connection.signal);
      const { socket, head } = await Promise.race([this.#connect(request, route, connection), connection.stopped]);
      const used = this.#tunnels.get(connection.listener);
      if (used === undefined) throw new ProxyRefusal(503, "The way out is closed");
      connection.splice(socket, { head, request, used });
      socket.once("close", () => {
        if (route.kind !== "relay") this.#deps.onEnd(connection.toEnd());
      });
    } catch (error) {
      const known = error instanceof ProxyRefusal ? error : toEgressError(error, host);
      connection.refuse(connection.ended ?? toRefusal(known));
    }
  }

  async #connect(
    request: ProxyRequest,
    route: TunnelRoute,
    { signal, ask }: Connection,
  ): Promise<{ socket: Socket; head: Uint8Array }> {
    const { target, kind, toHead } = request;
    const path = target.url.pathname + target.url.search;
    if (route.kind === "relay") {
      return { socket: await relay(route.path, target.key, ask!.tunnel, signal), head: toHead(path, []) };
    }
    if (kind === "connect" || route.kind !== "proxy") {
      return { socket: await openSocket(target, route, this.#deps.net, signal), head: toHead(path, []) };
    }
    const connection = await openConnection(target, route, this.#deps.net, signal);
    const [name, value] = connection.headers;
    const more = name === undefined ? [] : [`${name}: ${value}`];
    return { socket: connection.socket, head: toHead(connection.path, more) };
  }
}

/** One connection from behind the walls, from its first byte on. */
class Connection {
  readonly listener: number | null;
  ask: TunnelAsk | undefined;
  stage: "request" | "connecting" | "open" = "request";
  deadline: number;
  /** Why we ended it. */
  ended: ProxyRefusal | undefined;
  /** Rejects when it has ended. */
  readonly stopped: Promise<never>;
  readonly #socket: Socket;
  readonly #now: () => number;
  readonly #limits: TunnelServerDeps["limits"];
  readonly #startedAt: number;
  readonly #abort = new AbortController();
  #address = "";
  #up = 0;
  #down = 0;

  constructor(listener: number | null, socket: Socket, now: () => number, limits: TunnelServerDeps["limits"]) {
    this.listener = listener;
    this.#socket = socket;
    this.#now = now;
    this.#limits = limits;
    this.#startedAt = now();
    this.deadline = this.#startedAt + limits.tunnelHeadMs;
    // Without a listener an error of a socket ends the process; its close follows.
    socket.on("error", () => {});
    socket.once("close", () => this.#abort.abort());
    const stopped = Promise.withResolvers<never>();
    this.signal.addEventListener("abort", () => stopped.reject(this.signal.reason), { once: true });
    this.stopped = stopped.promise;
    this.stopped.catch(() => {});
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  to(stage: Connection["stage"]): void {
    const { tunnelConnectMs, tunnelIdleMs, tunnelConnectionMs } = this.#limits;
    this.stage = stage;
    this.deadline = stage === "connecting"
      ? this.#now() + tunnelConnectMs
      : Math.min(this.#now() + tunnelIdleMs, this.#startedAt + tunnelConnectionMs);
  }

  /** Ends it at once, both ways. A second reason does not count. */
  end(reason: ProxyRefusal): void {
    this.ended ??= reason;
    this.#abort.abort(reason);
    if (this.stage === "open") this.#socket.destroy();
  }

  /** Answers with a refusal, where there is nothing else yet, and ends. */
  refuse(reason: ProxyRefusal): void {
    this.end(reason);
    // What it still sends is not read: it has its answer.
    if (!this.#socket.destroyed) this.#socket.end(toRefusalBytes(reason), () => this.#socket.destroy());
  }

  /** The head without the empty line at its end; what follows stays in the socket. */
  readHead(): Promise<Uint8Array> {
    const socket = this.#socket;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const chunks: Uint8Array[] = [];
    const onData = (chunk: Uint8Array): void => {
      chunks.push(chunk);
      const held = chunks.length === 1 ? chunk : concatBytes(chunks.splice(0));
      if (chunks.length === 0) chunks.push(held);
      const at = findHeadEnd(held);
      if (at === -1 && held.length <= this.#limits.tunnelHeadBytesMax) return;
      socket.off("data", onData).pause();
      if (at === -1 || at > this.#limits.tunnelHeadBytesMax) {
        return reject(new ProxyRefusal(431, "The head of the request is too large"));
      }
      if (at + 4 < held.length) socket.unshift(held.subarray(at + 4));
      resolve(held.subarray(0, at));
    };
    socket.on("data", onData);
    socket.once("end", () => reject(new ProxyRefusal(400, "The request ended in its head")));
    return Promise.race([promise, this.stopped]);
  }

  /** Carries bytes both ways from now on, within the limits. `used` counts what the whole tunnel carried. */
  splice(to: Socket, { head, request, used }: { head: Uint8Array; request: ProxyRequest; used: Tunnel }): void {
    const from = this.#socket;
    const limits = this.#limits;
    this.#address = to.remoteAddress ?? "";
    this.to("open");
    to.on("error", () => {});
    to.once("close", () => from.destroySoon());
    this.signal.addEventListener("abort", () => to.destroy(), { once: true });
    if (request.kind === "connect") from.write(toBytes(["HTTP/1.1 200 Connection established", "", ""]));
    else to.write(head);
    const count = (up: number, down: number): void => {
      this.#up += up;
      this.#down += down;
      used.up += up;
      used.down += down;
      this.to("open");
      if (this.#up > limits.tunnelUpBytesMax || used.up > limits.tunnelAllUpBytesMax) {
        this.end(new ProxyRefusal(403, "It sent too much"));
      }
      if (this.#down > limits.tunnelDownBytesMax || used.down > limits.tunnelAllDownBytesMax) {
        this.end(new ProxyRefusal(403, "It received too much"));
      }
    };
    pump(from, to, (bytes) => {
      // A second request on this connection would reach a server that nobody was asked about.
      if (request.kind === "connect" || this.#up + bytes <= request.bodyBytes) count(bytes, 0);
      else this.end(new ProxyRefusal(400, "One request a connection"));
    }, request.kind === "connect");
    pump(to, from, (bytes) => count(0, bytes), true);
  }

  toEnd(): TunnelEnd {
    return {
      ...this.ask!,
      address: this.#address,
      upBytes: this.#up,
      downBytes: this.#down,
      elapsedMs: Math.round(this.#now() - this.#startedAt),
      ...(this.ended === undefined ? {} : { reason: this.ended.message.slice(0, 200) }),
    };
  }
}

/** Copies until the end; reads no faster than the other side takes. */
function pump(from: Socket, to: Socket, onBytes: (bytes: number) => void, passesEnd: boolean): void {
  from.on("data", (chunk: Uint8Array) => {
    onBytes(chunk.length);
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
  // Its end may have come with the head.
  if (passesEnd && from.readableEnded) to.end();
  else if (passesEnd) from.once("end", () => to.end());
  from.resume();
}

function findHeadEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at !== -1; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

/** A connection through the process of listed hosts, asked for as from behind the walls; it asks the runner for itself. */
async function relay(path: string, key: string, tunnel: number, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ path });
  signal.addEventListener("abort", () => socket.destroy(), { once: true });
  const answer = new Connection(null, socket, () => 0, LIMITS);
  socket.write(toBytes([`CONNECT ${key} HTTP/1.1`, `Host: ${key}`, `Oxydra-Tunnel: ${tunnel}`, "", ""]));
  const head = String.fromCharCode(...await answer.readHead());
  const [, status = "502", reason = "The connection failed"] = /^HTTP\/1\.1 (\d{3}) ([^\r]*)/.exec(head) ?? [];
  if (status === "200") return socket;
  socket.destroy();
  throw new AppError(status === "403" ? "egress_denied" : "egress_failed", reason);
}
