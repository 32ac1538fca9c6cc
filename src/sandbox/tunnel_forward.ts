import { LIMITS } from "#/core/limits.ts";

/** Where the proxy is for whatever runs behind the walls, in its own network namespace. */
export const TUNNEL_PORT = 3128;

/** The same as an address. */
export const TUNNEL_PROXY: string = `http://127.0.0.1:${TUNNEL_PORT}`;

/** The socket that a tunnel's folder shows there. */
export const TUNNEL_SOCKET = "/run/oxydra-net/proxy.sock";

const DIR = "/run/oxydra";

/** What commands behind the walls find their proxy by. What listens on their own loopback is reached without it. */
export const PROXY_ENV: Readonly<Record<string, string>> = Object.fromEntries(
  [["HTTP_PROXY", TUNNEL_PROXY], ["HTTPS_PROXY", TUNNEL_PROXY], ["ALL_PROXY", TUNNEL_PROXY], [
    "NO_PROXY",
    "localhost,127.0.0.1,::1",
  ]]
    .flatMap(([name, value]) => [[name!, value!], [name!.toLowerCase(), value!]]),
);

/**
 * A process behind the walls that listens on 127.0.0.1 and passes bytes on to the socket of its tunnel: 22 ms until it listens, 12 MB of
 * its own (measured). It writes the line `ready` to stdout when it listens, and ends when that cannot be.
 */
export interface Forwarder {
  /** For WalledSpec.files: host path by inner path. */
  readonly files: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** Beside whatever else there is. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * How the forwarder is started. It is our Deno with its own loader and libraries, so an image needs no libc of its own: busybox will do. `maps`
 * is /proc/self/maps of a process of that Deno; without one (macOS) it runs from where it is. `scriptPath` is a file with
 * `FORWARD_SCRIPT`. Pure.
 */
export function planForwarder(
  { denoPath, scriptPath, maps }: { readonly denoPath: string; readonly scriptPath: string; readonly maps?: string },
): Forwarder {
  const libraries = [...new Set([...maps?.matchAll(/\s(\/\S+\.so(?:\.\d+)*)$/gm) ?? []].map(([, path]) => path!))];
  const inner = (path: string) => `${DIR}/lib/${path.slice(path.lastIndexOf("/") + 1)}`;
  const loader = libraries.find((path) => /\/ld-[^/]*$/.test(path));
  const isBound = loader !== undefined;
  const [deno, script] = isBound ? [`${DIR}/deno`, `${DIR}/forward.js`] : [denoPath, scriptPath];
  return {
    files: isBound
      ? { [deno]: denoPath, [script]: scriptPath, ...Object.fromEntries(libraries.map((path) => [inner(path), path])) }
      : {},
    argv: [
      ...(isBound ? [inner(loader), "--library-path", `${DIR}/lib`] : []),
      deno,
      ...["run", "-q", "--no-prompt", "--no-config", "--no-lock", "--no-npm", "--no-remote", "--cached-only"],
      `--allow-net=127.0.0.1:${TUNNEL_PORT},unix:${TUNNEL_SOCKET}`,
      `--allow-read=${TUNNEL_SOCKET}`,
      `--allow-write=${TUNNEL_SOCKET}`,
      script,
    ],
    // It has nothing to cache, and /tmp is the user's.
    env: { DENO_DIR: "/nonexistent", DENO_NO_UPDATE_CHECK: "1" },
  };
}

/** Listens and forwards. Its text is what runs behind the walls, so it uses nothing from around it. */
export function forward({ port, path, max }: { port: number; path: string; max: number }): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  let open = 0;
  const copy = async (from: Deno.Conn, to: Deno.Conn) => {
    const bytes = new Uint8Array(65_536);
    for (let n = await from.read(bytes); n !== null; n = await from.read(bytes)) {
      for (let at = 0; at < n;) at += await to.write(bytes.subarray(at, n));
    }
    await to.closeWrite();
  };
  const refuse = (connection: Deno.Conn, why: string) =>
    connection.write(new TextEncoder().encode(`HTTP/1.1 ${why}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`));
  const serve = async (connection: Deno.Conn) => {
    using _near = connection;
    if (open > max) return void await refuse(connection, "503 Too many connections at once");
    const proxy = await Deno.connect({ transport: "unix", path }).catch(() => null);
    if (proxy === null) return void await refuse(connection, "403 No network was granted to this command");
    using far = proxy;
    await Promise.all([copy(connection, far), copy(far, connection)]);
  };
  const accept = async () => {
    for await (const connection of listener) {
      open++;
      serve(connection).catch(() => {}).finally(() => open--);
    }
  };
  void accept();
  return listener;
}

/** What the file of `planForwarder` holds. */
export const FORWARD_SCRIPT: string = `(${forward})(${
  JSON.stringify({ port: TUNNEL_PORT, path: TUNNEL_SOCKET, max: LIMITS.tunnelForwardMax })
});
console.log("ready");
`;
