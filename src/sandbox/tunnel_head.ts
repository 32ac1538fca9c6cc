import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { type EgressTarget, toEgressTarget } from "#/sandbox/egress_address.ts";

/** A refusal with its HTTP status. */
export class ProxyRefusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** What is asked of the proxy of a way out. */
export interface ProxyRequest {
  readonly target: EgressTarget;
  /** `connect`: bytes from here on. `forward`: one request in absolute form. */
  readonly kind: "connect" | "forward";
  /** Bytes that follow the head of a `forward`; exactly so many are passed on. */
  readonly bodyBytes: number;
  /** The head as the server gets it, for its request target and what a further proxy wants to see. */
  readonly toHead: (path: string, more: readonly string[]) => Uint8Array<ArrayBuffer>;
  /** The tunnel that another egress process of ours named. */
  readonly tunnel: number | undefined;
}

/** Not passed on: of this hop (RFC 9110 §7.6.1), or written anew here. */
const NOT_PASSED =
  /^(host|connection|proxy-.*|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings|content-length|oxydra-tunnel)$/;

/**
 * Reads the head of a request, without the empty line at its end. Strict where servers differ, for what two readers read differently is how
 * requests are smuggled. Throws ProxyRefusal, and AppError `egress_denied` for a target that no connection may have. Pure.
 */
export function toProxyRequest(head: Uint8Array): ProxyRequest {
  const [first = "", ...lines] = String.fromCharCode(...head).split("\r\n");
  const [, method, uri] = /^([A-Z]{1,32}) ([\x21-\x7e]+) HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === undefined || uri === undefined) throw new ProxyRefusal(400, "This is no request of HTTP/1.1");
  if (lines.length > LIMITS.tunnelHeadersMax) throw new ProxyRefusal(431, "Too many headers");
  const headers = lines.map(toHeader);
  const all = (name: string) => headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
  const tunnel = /^\d{1,3}$/.exec(all("oxydra-tunnel")[0] ?? "")?.[0];
  const from = { tunnel: tunnel === undefined ? undefined : Number(tunnel) };
  if (method === "CONNECT") {
    return { kind: "connect", target: toAuthority(uri), bodyBytes: 0, toHead: () => new Uint8Array(0), ...from };
  }
  if (!/^http:\/\//i.test(uri)) {
    throw new ProxyRefusal(400, "This is a proxy: it takes CONNECT host:port and absolute http URLs");
  }
  const target = toEgressTarget(uri);
  const bodyBytes = toBodyBytes(all("content-length"), all("transfer-encoding"));
  // A header that Connection names belongs to this hop too.
  const named = new Set(all("connection").flatMap((value) => value.toLowerCase().split(/[ \t]*,[ \t]*/)));
  const passed = headers.filter(([name]) => !NOT_PASSED.test(name.toLowerCase()) && !named.has(name.toLowerCase()));
  const length = bodyBytes === undefined ? [] : [`Content-Length: ${bodyBytes}`];
  return {
    kind: "forward",
    target,
    bodyBytes: bodyBytes ?? 0,
    toHead: (path, more) => {
      // The Host of the client is ignored (RFC 9112 §3.2.2): what was asked for and granted is the target.
      const own = [`Host: ${target.url.host}`, ...length, ...more, "Connection: close"];
      return toBytes([`${method} ${path} HTTP/1.1`, ...own, ...passed.map((pair) => pair.join(": ")), "", ""]);
    },
    ...from,
  };
}

/** An answer of the proxy itself. The reason is in its first line, too: that is what curl, git and pip show. Pure. */
export function toRefusalBytes({ status, message }: ProxyRefusal): Uint8Array<ArrayBuffer> {
  const reason = message.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 160);
  const head = ["Content-Type: text/plain", `Content-Length: ${reason.length + 1}`, "Connection: close"];
  return toBytes([`HTTP/1.1 ${status} ${reason}`, ...head, "", `${reason}\n`]);
}

/** Lines with CRLF between them, a byte a character. Pure. */
export function toBytes(lines: readonly string[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(lines.join("\r\n"), (char) => char.charCodeAt(0));
}

/** A line break alone, a NUL, a name with a space behind it or a folded line (RFC 9112 §5.1, §5.2) could begin another header for the next reader. */
function toHeader(line: string): readonly [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(line) ??
    [];
  if (name === undefined || value === undefined) throw new ProxyRefusal(400, "A header cannot be read");
  return [name, value];
}

/** `host:port` and nothing else: no user name, no path, and a port always. */
function toAuthority(uri: string): EgressTarget {
  const port = /^(?:\[[0-9A-Fa-f:.]+\]|[^:/?#@[\]\\]+):(\d{1,5})$/.exec(uri)?.[1];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new ProxyRefusal(400, "CONNECT takes host:port");
  }
  return toEgressTarget(`http://${uri}/`);
}

/** Undefined without a body. One length that everybody reads alike, or none at all. */
function toBodyBytes(lengths: readonly string[], codings: readonly string[]): number | undefined {
  if (codings.length > 0) throw new ProxyRefusal(411, "A body needs a Content-Length here");
  if (lengths.length === 0) return undefined;
  if (lengths.length > 1 || !/^\d{1,15}$/.test(lengths[0]!)) {
    throw new ProxyRefusal(400, "The Content-Length cannot be read");
  }
  return Number(lengths[0]);
}

/** How a failure is answered. What is no word of ours is no client's business. */
export function toRefusal(error: unknown): ProxyRefusal {
  if (error instanceof ProxyRefusal) return error;
  if (!(error instanceof AppError)) return new ProxyRefusal(502, "The connection failed");
  const status = { egress_denied: 403, queue_full: 503, egress_timeout: 504 }[error.code as string] ?? 502;
  return new ProxyRefusal(status, error.message);
}
