/** The egress process of what is behind walls: HTTP proxies on Unix sockets. It asks the runner about each connection. Its flags are in egress_plan.ts. */
import "#/lib/stderr_console.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { openLink } from "#/lib/link.ts";
import { REAL_NET } from "#/sandbox/egress_connect.ts";
import { TunnelOrder, TunnelRoute } from "#/sandbox/tunnel_frames.ts";
import { TunnelServer } from "#/sandbox/tunnel_server.ts";

/** Ends with the runner: at the end of stdin, or at the first frame that is not ours. */
async function main(): Promise<number> {
  const server = new TunnelServer({
    ask: async (ask, signal) => TunnelRoute.parse((await link.request(ask, signal)).body),
    onEnd: (end) => void link.notify(end).catch(() => {}),
    net: REAL_NET,
    now: () => performance.now(),
    limits: LIMITS,
  });
  const link = openLink({ input: new ByteReader(Deno.stdin.readable), output: Deno.stdout.writable }, {
    async onRequest(body) {
      const order = TunnelOrder.safeParse(body).data;
      if (order === undefined) throw new AppError("protocol", "This is no order");
      if (order.op === "listen") await server.listen(order.tunnel, order.path);
      else if (order.op === "check") await server.check(order.tunnel);
      else await server.end(order.tunnel);
      return { body: null, content: new Uint8Array(0) };
    },
  });
  return await link.closed === undefined ? 0 : 1;
}

Deno.exit(await main());
