/** Real tunnels, a server that says what came, and a client that writes chosen bytes to a Unix socket. */
import { type OpenTunnels, openTunnels, type TunnelsOptions } from "#/sandbox/tunnel_client.ts";
import { SRC } from "../fixture/source_tree.ts";
import { toPlanInput } from "./egress_kit.ts";

/** The flags' input for the real entry. */
export function toTunnelPlanInput(): TunnelsOptions["plan"] {
  return { ...toPlanInput(), entryUrl: `file://${SRC}/sandbox/tunnel_egress.ts` };
}

/** Ways out with real processes in a short folder of their own; all of it ends with its scope. */
export function openRealTunnels(
  options: Partial<TunnelsOptions> = {},
): OpenTunnels & AsyncDisposable & {
  readonly dir: string;
  readonly log: string[];
  readonly ends: Parameters<TunnelsOptions["onEnd"]>[0][];
} {
  const log: string[] = [];
  const ends: Parameters<TunnelsOptions["onEnd"]>[0][] = [];
  const above = Deno.makeTempDirSync({ prefix: "ox-net-" });
  const dir = `${above}/net`;
  const tunnels = openTunnels({
    plan: toTunnelPlanInput(),
    dir,
    allowlist: [],
    mode: "default",
    onException: (text) => log.push(text),
    onLog: (text) => log.push(text),
    onEnd: (end) => ends.push(end),
    ...options,
  });
  const { open, close } = tunnels;
  return {
    open: (...args) => open.apply(tunnels, args),
    close: () => close.call(tunnels),
    plans: tunnels.plans,
    get pids() {
      return tunnels.pids;
    },
    dir,
    log,
    ends,
    async [Symbol.asyncDispose]() {
      await close.call(tunnels);
      Deno.removeSync(above, { recursive: true });
    },
  };
}

/** Writes text to a socket and nothing after it, and gives back all that comes until its end. */
export async function say(dir: string, text: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path: `${dir}/proxy.sock` });
  await connection.write(new TextEncoder().encode(text));
  // What was refused may be gone by now.
  await connection.closeWrite().catch(() => {});
  return await readAll(connection);
}

/** What comes until the end; what is cut off is an end too. */
export async function readAll(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const bytes = new Uint8Array(65_536);
  try {
    for (let n = await connection.read(bytes); n !== null; n = await connection.read(bytes)) {
      text += decoder.decode(bytes.subarray(0, n), { stream: true });
    }
  } catch {
    // The other side is gone.
  }
  return text;
}

/** Reads until the text is there. Throws when the connection ends before. */
export async function readUntil(connection: Deno.Conn, what: string): Promise<string> {
  let text = "";
  const bytes = new Uint8Array(65_536);
  while (!text.includes(what)) {
    const n = await connection.read(bytes);
    if (n === null) throw new Error(`ended with ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(bytes.subarray(0, n));
  }
  return text;
}

/** A TCP server on loopback that answers every connection by `serve`, and ends with its scope. */
export function openServer(
  serve: (connection: Deno.TcpConn) => Promise<void>,
): Disposable & { readonly port: number; readonly accepted: () => number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let accepted = 0;
  void (async () => {
    for await (const connection of listener) {
      accepted++;
      open.add(connection);
      serve(connection).catch(() => {}).finally(() => {
        open.delete(connection);
        try {
          connection.close();
        } catch {
          // Closed by the test.
        }
      });
    }
  })();
  return {
    port: listener.addr.port,
    accepted: () => accepted,
    [Symbol.dispose]() {
      listener.close();
      for (const connection of open) connection.close();
    },
  };
}

/** Sends back what comes. */
export async function echo(connection: Deno.TcpConn): Promise<void> {
  const bytes = new Uint8Array(65_536);
  for (let n = await connection.read(bytes); n !== null; n = await connection.read(bytes)) {
    await connection.write(bytes.slice(0, n));
  }
}

/** Answers one request with what it got, as the body. */
export async function mirror(connection: Deno.TcpConn): Promise<void> {
  let text = await readUntil(connection, "\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
  const bytes = new Uint8Array(65_536);
  while (text.length - text.indexOf("\r\n\r\n") - 4 < length) {
    const n = await connection.read(bytes);
    if (n === null) break;
    text += new TextDecoder().decode(bytes.subarray(0, n));
  }
  await connection.write(new TextEncoder().encode(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${text}`));
}

/** Until it is so, looking again after whatever else is due. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}
