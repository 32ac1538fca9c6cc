import { type IncomingMessage, request as httpRequest } from "node:http";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { type EgressTarget, toEgressTarget } from "#/sandbox/egress_address.ts";
import { type EgressConnection, type EgressNet, openConnection } from "#/sandbox/egress_connect.ts";
import type { EgressCall, EgressHead, EgressHeader } from "#/sandbox/egress_frames.ts";

/** What an exchange is done with. */
export interface ExchangeDeps {
  readonly net: EgressNet;
  /** See LIMITS.egressIdleMs. */
  readonly idleMs: number;
}

/** Set by us, or meant for one hop (RFC 9110 §7.6.1): a caller that sets them could smuggle a second request. */
const REFUSED_HEADERS =
  /^(host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|accept-encoding|http2-settings|proxy-.*)$/;

/** What described the wire and not the content that we give back. */
const WIRE_HEADERS =
  /^(content-encoding|content-length|transfer-encoding|connection|keep-alive|trailer|upgrade|proxy-.*)$/;

/**
 * One HTTP exchange, no redirect followed. A body over `downBytesMax` is cut there, and `truncated` says so. Throws AppError
 * `egress_denied`, `egress_failed`, `egress_timeout` or `cancelled`; no message holds an address that a name resolved to.
 */
export async function runExchange(
  call: EgressCall,
  deps: ExchangeDeps,
  signal: AbortSignal,
): Promise<{ body: EgressHead; content: Uint8Array }> {
  const target = toEgressTarget(call.url);
  const headers = toRequestHeaders(call, target);
  const watch = new Watch(call, deps.idleMs, signal);
  const work = async () => {
    const connection = await openConnection(target, call.route, deps.net, watch.signal);
    watch.count(() => connection.socket.bytesRead);
    const response = await send(call, connection, [...headers, ...connection.headers]);
    watch.progress();
    const { content, truncated } = await readBody(response, call, watch);
    const { address, socket: { bytesRead: wireBytes } } = connection;
    const status = response.statusCode ?? 0;
    if (status < 200) throw new AppError("egress_failed", `${target.host} answered with the status ${status}`);
    const body = {
      status,
      headers: toAnswerHeaders(response),
      address,
      wireBytes,
      bodyBytes: content.length,
      truncated,
    };
    return { body, content };
  };
  try {
    // Whatever a socket fails to say when it is destroyed, the exchange ends.
    return await Promise.race([work(), watch.stopped]);
  } catch (error) {
    throw toEgressError(watch.signal.aborted ? watch.signal.reason : error, target.host);
  } finally {
    watch.close();
  }
}

/** Wall time, silence and bytes of one exchange. Its signal ends every socket. */
class Watch {
  readonly stopped: Promise<never>;
  readonly #stop = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #outer: AbortSignal;
  #bytes = () => 0;
  #progressAt = performance.now();

  constructor(call: EgressCall, idleMs: number, outer: AbortSignal) {
    const endsAt = performance.now() + call.timeoutMs;
    const bytesMax = 2 * call.downBytesMax + LIMITS.egressWireSlackBytesMax;
    this.#timer = setInterval(() => {
      const now = performance.now();
      if (now >= endsAt) this.#end("egress_timeout", `No complete answer within ${call.timeoutMs} ms`);
      else if (now - this.#progressAt >= idleMs) this.#end("egress_timeout", `The server was silent for ${idleMs} ms`);
      else if (this.#bytes() > bytesMax) this.#end("egress_failed", "The server sends far more than its answer holds");
    }, LIMITS.egressWatchMs);
    this.#outer = outer;
    outer.addEventListener("abort", this.#cancel, { once: true });
    const stopped = Promise.withResolvers<never>();
    this.signal.addEventListener("abort", () => stopped.reject(this.signal.reason), { once: true });
    this.stopped = stopped.promise;
    this.stopped.catch(() => {});
    if (outer.aborted) this.#cancel();
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  progress(): void {
    this.#progressAt = performance.now();
  }

  count(bytes: () => number): void {
    this.#bytes = bytes;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#outer.removeEventListener("abort", this.#cancel);
    this.#stop.abort();
  }

  readonly #cancel = (): void => this.#end("cancelled", "The call was cancelled");

  #end(code: AppError["code"], message: string): void {
    this.#stop.abort(new AppError(code, message));
  }
}

/** A flat list, as it goes out. Throws AppError `egress_denied`. */
function toRequestHeaders(call: EgressCall, target: EgressTarget): string[] {
  const out = ["Host", target.url.host, "Accept-Encoding", "gzip, br", "Connection", "close"];
  for (const [name, value] of call.headers) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || REFUSED_HEADERS.test(name.toLowerCase())) {
      throw new AppError("egress_denied", `The header ${JSON.stringify(name.slice(0, 40))} may not be set`);
    }
    // CR, LF and NUL would begin another header, or another request.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new AppError("egress_denied", `The value of the header ${name} has characters that a header may not have`);
    }
    out.push(name, value);
  }
  const bare = call.method === "GET" || call.method === "HEAD";
  if (bare && call.body !== "") throw new AppError("egress_denied", `${call.method} takes no body`);
  if (!bare) out.push("Content-Length", String(toBody(call).length));
  return out;
}

function toBody(call: EgressCall): Uint8Array {
  try {
    const body = Uint8Array.fromBase64(call.body);
    if (body.length <= LIMITS.egressUpBytesMax) return body;
  } catch (cause) {
    throw new AppError("egress_denied", "The body is not base64", { cause });
  }
  throw new AppError("egress_denied", `The body is larger than ${LIMITS.egressUpBytesMax} bytes`);
}

function send(call: EgressCall, connection: EgressConnection, headers: readonly string[]): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      // No agent: with one, Deno would open a connection of its own and leave ours unused.
      createConnection: () => connection.stream,
      setHost: false,
      method: call.method,
      path: connection.path,
      headers,
      maxHeaderSize: LIMITS.egressHeadBytesMax,
      insecureHTTPParser: false,
    });
    let interim = 0;
    request.on("information", () => {
      if (++interim <= LIMITS.egressInterimMax) return;
      reject(new AppError("egress_failed", "The server sends interim answers without end"));
      request.destroy();
    });
    request.on("upgrade", (_, socket) => {
      socket.destroy();
      reject(new AppError("egress_failed", "The server switches to another protocol"));
    });
    request.on("response", resolve);
    request.on("error", reject);
    request.on("close", () => reject(new AppError("egress_failed", "The server closed the connection")));
    request.end(toBody(call));
  });
}

async function readBody(
  response: IncomingMessage,
  { method, downBytesMax }: EgressCall,
  watch: Watch,
): Promise<{ content: Uint8Array; truncated: boolean }> {
  const parts: Uint8Array[] = [];
  let room = downBytesMax;
  for await (const chunk of toPlain(response, method) as AsyncIterable<Uint8Array>) {
    watch.progress();
    parts.push(chunk.subarray(0, room));
    if (chunk.length > room) return { content: concatBytes(parts), truncated: true };
    room -= chunk.length;
  }
  return { content: concatBytes(parts), truncated: false };
}

/**
 * The body as its author wrote it. node:zlib and not DecompressionStream: that one inflates all that a chunk holds before anybody can
 * say stop (2 GB of zeros in 1.5 KB of brotli took 4 GB of memory, here 66 MB in all; measured, Deno 2.9.6).
 */
function toPlain(response: IncomingMessage, method: string): AsyncIterable<unknown> {
  const encoding = (response.headers["content-encoding"] ?? "").trim().toLowerCase();
  const isEmpty = method === "HEAD" || response.statusCode === 204 || response.statusCode === 304 ||
    response.headers["content-length"] === "0";
  if (isEmpty || encoding === "" || encoding === "identity") return response;
  // One layer: nobody asked for more, and each one multiplies what a few bytes can become.
  const open = { "gzip": createGunzip, "x-gzip": createGunzip, "deflate": createInflate, "br": createBrotliDecompress }[
    encoding
  ];
  if (open === undefined) {
    const message = `The body's encoding ${JSON.stringify(encoding.slice(0, 40))} was not asked for`;
    throw new AppError("egress_failed", message);
  }
  const plain = open();
  response.on("error", (error) => plain.destroy(error));
  return response.pipe(plain);
}

function toAnswerHeaders({ rawHeaders }: IncomingMessage): EgressHeader[] {
  const out: EgressHeader[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (!WIRE_HEADERS.test(name)) out.push([name, rawHeaders[at + 1]!]);
  }
  return out;
}

/** What went wrong with a host, for whoever asked for it. Our own errors speak; the platform's would name addresses, so that only their code is read. */
export function toEgressError(error: unknown, host: string): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const failed = (what: string) => new AppError("egress_failed", `${host} ${what}`, { cause: error });
  if (error instanceof Deno.errors.NotCapable || code === "EPERM") {
    return new AppError("egress_denied", `${host} leads to an address that may not be reached`, { cause: error });
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || code === "ENODATA") return failed("cannot be resolved");
  if (code === "ECONNREFUSED") return failed("refused the connection");
  if (code === "HPE_HEADER_OVERFLOW") return failed(`sends headers over ${LIMITS.egressHeadBytesMax} bytes`);
  if (code.startsWith("HPE_")) return failed(`does not speak HTTP as it should (${code})`);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return failed("has a certificate for another name");
  if (/CERT|SIGNATURE|TLS|SSL/.test(code)) return failed(`could not be verified by TLS (${code})`);
  // Deno's brotli has no code, only a message of this form.
  if (code.startsWith("Z_") || (error instanceof Error && /^ERR_[A-Z_0-9]+$/.test(error.message))) {
    return failed("sends a body that cannot be decompressed");
  }
  return failed(/^[A-Z_]{1,40}$/.test(code) ? `broke the connection (${code})` : "broke the connection");
}
