import { lookup } from "node:dns/promises";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { checkPublicTarget, type EgressTarget, toAddressKind } from "#/sandbox/egress_address.ts";
import type { EgressRoute } from "#/sandbox/egress_frames.ts";

/** The network as an exchange uses it; tests give other answers. */
export interface EgressNet {
  /** Every address of a name. */
  resolve(host: string): Promise<readonly string[]>;
  /** Begins a TCP connection. */
  dial(host: string, port: number): Socket;
  /** See LIMITS.egressConnectMs. */
  readonly connectMs: number;
}

/**
 * The real one. `lookup` is getaddrinfo: it honours /etc/hosts and needs no permission for the name server. `Deno.resolveDns` connects
 * to that server itself, which is a private address on most networks, and `--deny-net` refuses it (measured, Deno 2.9.6).
 */
export const REAL_NET: EgressNet = {
  resolve: async (host) => (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address),
  dial: (host, port) => connect({ host, port }),
  connectMs: LIMITS.egressConnectMs,
};

/** A connection that may carry one request. */
export interface EgressConnection {
  /** What the request is written to: TCP or TLS. */
  readonly stream: Socket;
  /** The TCP socket below: its `bytesRead` counts what came over the wire. */
  readonly socket: Socket;
  readonly address: string;
  /** Request target, as the other end expects it. */
  readonly path: string;
  /** Headers for the proxy, as a flat list. */
  readonly headers: readonly string[];
}

/** Connects as the route says; sockets die with the signal. Throws AppError `egress_*`, or what the platform throws. */
export async function openConnection(
  target: EgressTarget,
  route: EgressRoute,
  net: EgressNet,
  signal: AbortSignal,
): Promise<EgressConnection> {
  if (route.kind === "proxy" && target.url.protocol === "http:") return await askProxy(route.url, target, net, signal);
  if (route.kind === "public") checkPublicTarget(target);
  const socket = await openSocket(target, route, net, signal);
  const stream = target.url.protocol === "https:" ? await secure(socket, target, signal) : socket;
  const path = target.url.pathname + target.url.search;
  return { stream, socket, address: socket.remoteAddress ?? "", path, headers: [] };
}

/** The bare TCP connection to a target, whatever is spoken over it. Throws as `openConnection`. */
export async function openSocket(
  target: EgressTarget,
  route: EgressRoute,
  net: EgressNet,
  signal: AbortSignal,
): Promise<Socket> {
  switch (route.kind) {
    case "public":
      return await connectPublic(target, net, signal);
    case "listed":
      return await connectListed(target, net, signal);
    case "proxy":
      return await connectThrough(new URL(route.url), target, net, signal);
  }
}

/**
 * Resolves once, checks every address, connects to a checked one: checking a name and then connecting to it again lets DNS change in
 * between. One bad address refuses the whole name, for whoever mixes them means to try his luck.
 */
async function connectPublic(target: EgressTarget, net: EgressNet, signal: AbortSignal): Promise<Socket> {
  const addresses = target.isAddress ? [target.host] : await net.resolve(target.host);
  signal.throwIfAborted();
  const first = addresses[0];
  if (first === undefined) throw new AppError("egress_failed", `${target.host} has no address`);
  if (addresses.some((address) => toAddressKind(address) !== "public")) throw notPublic(target.host);
  // The other try goes to the other family, where there is one: a machine without IPv6 still gets AAAA answers.
  const other = addresses.find((address) => address.includes(":") !== first.includes(":")) ?? addresses[1];
  try {
    return await dial(net, first, target.port, signal);
  } catch (error) {
    if (other === undefined || signal.aborted) throw error;
    return await dial(net, other, target.port, signal);
  }
}

/**
 * Connects by name: `--allow-net=name:port` permits the name, not its address (measured). What the name means inside is the person's
 * business, except that a name never leads to link-local (cloud metadata) or special addresses; an address that was listed itself does.
 */
async function connectListed(target: EgressTarget, net: EgressNet, signal: AbortSignal): Promise<Socket> {
  const socket = await dial(net, target.host, target.port, signal);
  const kind = toAddressKind(socket.remoteAddress ?? "");
  if (!target.isAddress && (kind === "link-local" || kind === "special" || kind === "invalid")) {
    socket.destroy();
    throw notPublic(target.host);
  }
  return socket;
}

/** Absolute form for http (RFC 9112 §3.2). The proxy resolves the name: strict mode leaves that to it. */
async function askProxy(
  url: string,
  target: EgressTarget,
  net: EgressNet,
  signal: AbortSignal,
): Promise<EgressConnection> {
  const proxy = new URL(url);
  const socket = await dialProxy(proxy, net, signal);
  const address = socket.remoteAddress ?? "";
  return { stream: socket, socket, address, path: target.url.href, headers: toCredentials(proxy) };
}

/** CONNECT (RFC 9110 §9.3.6). */
async function connectThrough(proxy: URL, target: EgressTarget, net: EgressNet, signal: AbortSignal): Promise<Socket> {
  const socket = await dialProxy(proxy, net, signal);
  await new Promise<void>((resolve, reject) => {
    const tunnel = httpRequest({
      createConnection: () => socket,
      setHost: false,
      method: "CONNECT",
      path: target.key,
      headers: ["Host", target.key, ...toCredentials(proxy)],
      maxHeaderSize: LIMITS.egressHeadBytesMax,
    });
    tunnel.on("error", reject);
    tunnel.on("close", () => reject(new AppError("egress_failed", "The egress proxy closed the connection")));
    tunnel.on("response", () => reject(new AppError("egress_failed", "The egress proxy refused the connection")));
    tunnel.on("connect", ({ statusCode = 0 }, _, head) => {
      // Bytes before our own hello are none of the target's.
      if (statusCode >= 200 && statusCode < 300 && head.length === 0) return resolve();
      reject(new AppError("egress_failed", `The egress proxy answered ${statusCode}`));
    });
    tunnel.end();
  });
  return socket;
}

async function dialProxy(proxy: URL, net: EgressNet, signal: AbortSignal): Promise<Socket> {
  return await dial(net, proxy.hostname.replace(/^\[(.*)\]$/, "$1"), Number(proxy.port || 80), signal);
}

function toCredentials({ username, password }: URL): readonly string[] {
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  if (credentials === ":") return [];
  return ["Proxy-Authorization", `Basic ${new TextEncoder().encode(credentials).toBase64()}`];
}

async function dial(net: EgressNet, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = net.dial(host, port);
  const late = new AppError("egress_timeout", `No server took the connection within ${net.connectMs} ms`);
  const timer = setTimeout(() => socket.destroy(late), net.connectMs);
  try {
    await whenOpen(socket, "connect", signal);
  } finally {
    clearTimeout(timer);
  }
  return socket;
}

async function secure(socket: Socket, target: EgressTarget, signal: AbortSignal): Promise<Socket> {
  const stream = connectTls({
    socket,
    // The name that the certificate must be for. `servername` (SNI) takes no address; `host` is checked in its place.
    host: target.host,
    ...(target.isAddress ? {} : { servername: target.host }),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
  });
  await whenOpen(stream, "secureConnect", signal);
  return stream;
}

/** The error listener stays: a socket that fails later, with nobody waiting, would end the process. */
function whenOpen(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.on("error", reject);
    socket.once("close", () => reject(new AppError("egress_failed", "The connection was closed")));
    socket.once(event, () => resolve());
  });
}

function notPublic(host: string): AppError {
  return new AppError("egress_denied", `${host} resolves to an address that is not public`);
}
