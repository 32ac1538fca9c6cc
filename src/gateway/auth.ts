import { LIMITS } from "#/core/limits.ts";
import type { Caller, GatewayToken } from "#/gateway/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";

/** Subprotocol that carries a token, for browsers: they can set no header. */
const TOKEN_PROTOCOL = "oxydra.token.";

/** Subprotocol that a client should offer beside its token, so that the answer need not repeat the token. */
const GATEWAY_PROTOCOL = "oxydra.v2";

const LOOPBACK = "127.0.0.1";

/**
 * Who asks: the holder of the first presented token that is one of `tokens` and has not expired at `now` (integer ms UTC), or undefined. A
 * token comes by `Authorization: Bearer`, by the subprotocol `oxydra.token.<token>` or by `?token=`. What is longer than `tokenCharsMax`
 * is no token.
 */
export async function findCaller(
  request: Request,
  tokens: readonly GatewayToken[],
  now: number,
): Promise<Caller | undefined> {
  for (const token of tokensOf(request)) {
    if (token === "" || token.length > LIMITS.tokenCharsMax) continue;
    const hash = await sha256Hex(token);
    let found: GatewayToken | undefined;
    // Every hash is compared, also after a match: how long it takes says nothing about which one matched.
    for (const known of tokens) if (isSameHash(hash, known.sha256)) found ??= known;
    if (found !== undefined && now < (found.expiresAt ?? Infinity)) return { id: found.id, scope: found.scope };
  }
  return undefined;
}

/**
 * Compares two hex hashes in a time that does not depend on where they differ. Both sides are hashes, so even a leak of the time
 * would name a prefix of a hash, not of a token.
 */
export function isSameHash(left: string, right: string): boolean {
  if (left.length !== right.length || left.length === 0) return false;
  let difference = 0;
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at);
  return difference === 0;
}

/** The subprotocol to answer with: a browser closes when it offered some and none is chosen (WHATWG WebSockets §3.1). */
export function chooseProtocol(request: Request): string | undefined {
  const offered = protocolsOf(request);
  if (offered.includes(GATEWAY_PROTOCOL)) return GATEWAY_PROTOCOL;
  return offered.find((protocol) => protocol.startsWith(TOKEN_PROTOCOL));
}

/** An address that a gateway is reached at. */
export interface Door {
  readonly port: number;
  /** Names beside 127.0.0.1 and localhost that it is reached by, as a Host header has them; without a port also with this door's. */
  readonly hosts?: readonly string[];
  /** Its connections are encrypted by this process. */
  readonly isTls?: boolean;
  /** A reverse proxy stands before it: then X-Forwarded-Host, -Proto and -For say how it was reached. */
  readonly isProxied?: boolean;
  /**
   * This process runs in a container: connections that come to 127.0.0.1 of its machine arrive here from this address, and others are not
   * served.
   */
  readonly publishedBy?: string;
}

/**
 * True when the request names this very server: `127.0.0.1:port`, `localhost:port` or a name that the door has. A page whose own host
 * name was made to point at this machine sends that name here (DNS rebinding).
 */
export function isOwnHost(request: Request, door: Door): boolean {
  const host = hostOf(request, door);
  if (host === undefined) return false;
  const names = [LOOPBACK, "localhost"].map((name) => `${name}:${door.port}`);
  const others = (door.hosts ?? []).map((name) => name.toLowerCase());
  return [...names, ...others, ...others.map((name) => `${name}:${door.port}`)].includes(host);
}

/** True unless a neighbour in the container's network asks: what the engine publishes on this machine's loopback is not for them. */
export function isExpectedPeer(peer: string, door: Door): boolean {
  return door.publishedBy === undefined || peer === door.publishedBy || peer === LOOPBACK;
}

/** True without an Origin (no browser), or when the page came from the host it asks: any page may open a WebSocket to any host. */
export function isOwnOrigin(request: Request, door: Door): boolean {
  const origin = request.headers.get("origin");
  if (origin === null) return true;
  const forwarded = door.isProxied ? request.headers.get("x-forwarded-proto")?.toLowerCase() : undefined;
  const scheme = forwarded ?? (door.isTls ? "https" : "http");
  return origin.toLowerCase() === `${scheme}://${hostOf(request, door)}`;
}

/** The address that asks: the connection's, or what the last proxy before this door says of it; of this machine 127.0.0.1. */
export function addressOf(request: Request, door: Door, peer: string): string {
  const last = door.isProxied ? request.headers.get("x-forwarded-for")?.split(",").at(-1)?.trim() : undefined;
  if (last !== undefined && last !== "") return last.slice(0, LIMITS.idCharsMax);
  return peer === door.publishedBy ? LOOPBACK : peer;
}

/** Behind a proxy that says nothing of it, the Host header counts: our own clients come without one. */
function hostOf(request: Request, door: Door): string | undefined {
  const forwarded = door.isProxied ? request.headers.get("x-forwarded-host") : null;
  return (forwarded ?? request.headers.get("host"))?.toLowerCase();
}

function tokensOf(request: Request): string[] {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const protocols = protocolsOf(request).filter((protocol) => protocol.startsWith(TOKEN_PROTOCOL));
  const query = new URL(request.url).searchParams.get("token");
  return [
    ...(bearer === undefined ? [] : [bearer]),
    ...protocols.slice(0, 1).map((protocol) => protocol.slice(TOKEN_PROTOCOL.length)),
    ...(query === null ? [] : [query]),
  ];
}

function protocolsOf(request: Request): string[] {
  return (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}
