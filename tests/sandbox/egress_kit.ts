/** Real egress processes, and servers that answer with chosen bytes over real sockets. */
import { connect } from "node:net";
import { type Egress, type EgressOptions, openEgress } from "#/sandbox/egress_client.ts";
import type { EgressNet } from "#/sandbox/egress_connect.ts";
import { EgressCall, type EgressRequest } from "#/sandbox/egress_frames.ts";
import { fromFileUrl, join, SRC } from "../fixture/source_tree.ts";
import { SETPRIV } from "./child_kit.ts";

/** A signal that never fires. */
export const never: AbortSignal = new AbortController().signal;

const TLS = fromFileUrl(new URL("../fixture/tls/", import.meta.url));

/** The authority of the test certificates, for DENO_CERT; they are for `localhost` and 127.0.0.1, and for `other.test`. Valid until 2126. */
export const TEST_CA: string = join(TLS, "ca.pem");

/** A certificate of that authority and its key. */
export function readCertificate(name: "localhost" | "other"): { cert: string; key: string } {
  return {
    cert: Deno.readTextFileSync(join(TLS, `${name}.pem`)),
    key: Deno.readTextFileSync(join(TLS, `${name}.key`)),
  };
}

/** The flags' input for the real entry, or for the entry of a scratch copy of the tree. */
export function toPlanInput(srcUrl = `file://${SRC}/`): EgressOptions["plan"] {
  const root = fromFileUrl(new URL("../", srcUrl));
  return {
    denoPath: Deno.execPath(),
    entryUrl: new URL("sandbox/egress.ts", srcUrl).href,
    moduleFlags: [
      "--cached-only",
      `--lock=${root}deno.lock`,
      "--frozen",
      "--no-remote",
      "--config",
      `${root}deno.json`,
    ],
    ...(SETPRIV === undefined ? {} : { pdeathsig: SETPRIV }),
    env: { ...Deno.env.toObject(), DENO_CERT: TEST_CA },
  };
}

/** A way out with real processes that ends with its scope; `log` has what the processes wrote to stderr, `exceptions` the listed requests. */
export function openRealEgress(
  options: Partial<EgressOptions> = {},
): Egress & AsyncDisposable & { readonly log: string[]; readonly exceptions: string[] } {
  const log: string[] = [];
  const exceptions: string[] = [];
  const egress = openEgress({
    plan: toPlanInput(),
    allowlist: [],
    mode: "default",
    onException: (text) => exceptions.push(text),
    onLog: (text) => log.push(text),
    ...options,
  });
  return {
    request: (exchange, signal) => egress.request(exchange, signal),
    warm: () => egress.warm(),
    close: () => egress.close(),
    get pids() {
      return egress.pids;
    },
    plans: egress.plans,
    log,
    exceptions,
    [Symbol.asyncDispose]: () => egress.close(),
  };
}

/** A GET with everything else as usual. */
export function toRequest(url: string, change: Partial<EgressRequest> = {}): EgressRequest {
  return { url, method: "GET", headers: [], body: "", downBytesMax: 1_000_000, timeoutMs: 20_000, ...change };
}

/** The same as the process is asked, over the public route. */
export function toCall(url: string, change: Partial<EgressCall> = {}): EgressCall {
  return EgressCall.parse({ ...toRequest(url), route: { kind: "public" }, ...change });
}

/** A server of chosen bytes. */
export interface RawServer extends AsyncDisposable {
  readonly port: number;
  /** The request of each connection. */
  readonly heads: string[];
}

/** Reads each request, then answers as told; the connection ends with the answer. Runs until its scope ends. */
export function openRawServer(
  answer: (write: (bytes: string | Uint8Array) => Promise<void>, head: string, conn: Deno.TcpConn) => Promise<void>,
): RawServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const heads: string[] = [];
  const open = new Set<Deno.TcpConn>();
  const serve = async (conn: Deno.TcpConn) => {
    open.add(conn);
    try {
      const head = await readRequest(conn);
      heads.push(head);
      await answer((bytes) => writeAll(conn, bytes), head, conn);
    } catch {
      // The client has left, or the server has.
    } finally {
      open.delete(conn);
      close(conn);
    }
  };
  const accepting = (async () => {
    const served: Promise<void>[] = [];
    for await (const conn of listener) served.push(serve(conn));
    await Promise.all(served);
  })();
  return {
    port: listener.addr.port,
    heads,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) close(conn);
      await accepting;
    },
  };
}

/** A complete answer. */
export function toAnswer(body: string | Uint8Array, headers = "", status = "200 OK"): Uint8Array<ArrayBuffer> {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const head = new TextEncoder().encode(`HTTP/1.1 ${status}\r\nContent-Length: ${bytes.length}\r\n${headers}\r\n`);
  const out = new Uint8Array(head.length + bytes.length);
  out.set(head);
  out.set(bytes, head.length);
  return out;
}

/** A network in which each resolve gives the next of `answers`, and whatever address is dialled leads to a server of ours. */
export function toNet(
  answers: readonly (readonly string[])[],
  port: number,
): EgressNet & { readonly resolved: string[]; readonly dialled: string[] } {
  const resolved: string[] = [];
  const dialled: string[] = [];
  return {
    resolved,
    dialled,
    resolve(host) {
      resolved.push(host);
      return Promise.resolve(answers[resolved.length - 1] ?? []);
    },
    dial(host, wanted) {
      dialled.push(`${host} ${wanted}`);
      return connect({ host: "127.0.0.1", port });
    },
    connectMs: 10_000,
  };
}

async function readRequest(conn: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  const isWhole = () => {
    const end = text.indexOf("\r\n\r\n");
    return end >= 0 && text.length - end - 4 >= Number(/\r\nContent-Length: (\d+)/.exec(text)?.[1] ?? 0);
  };
  while (!isWhole()) {
    const count = await conn.read(buffer);
    if (count === null) break;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
  }
  return text;
}

async function writeAll(conn: Deno.TcpConn, bytes: string | Uint8Array): Promise<void> {
  let rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
