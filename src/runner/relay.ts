/**
 * The relay process: a container cannot reach the loopback of its machine, where local model servers listen. This one listens on the
 * machine's address in the container's network and carries bytes, to the ports that the configuration names and no others. Its stdout
 * says at which ports; the end of its stdin ends it.
 */
import { LIMITS } from "#/core/limits.ts";
import { isInRange } from "#/lib/ipv4_range.ts";
import type { RelayRequest } from "#/runner/plan_relay.ts";

const PIECE_BYTES = 65_536;

async function main(): Promise<void> {
  const { address, subnet, targets }: RelayRequest = JSON.parse(Deno.args[0]!);
  const listeners = targets.map(({ hostname, port }) => {
    const listener = listen(address, port);
    void serve(listener, subnet, () => Deno.connect({ hostname, port }));
    return listener;
  });
  console.log(JSON.stringify(listeners.map(({ addr }) => addr.port)));
  for await (const _ of Deno.stdin.readable);
}

/** The same port where it is free: what is at an address that stays is remembered by it. */
function listen(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    return Deno.listen({ hostname, port: 0 });
  }
}

async function serve(listener: Deno.TcpListener, subnet: string, connect: () => Promise<Deno.TcpConn>): Promise<void> {
  let open = 0;
  for await (const near of listener) {
    // Other containers and other machines may have a route to this address.
    if (!isInRange(near.remoteAddr.hostname, subnet) || open >= LIMITS.relayConnectionsMax) {
      near.close();
      continue;
    }
    open++;
    void carry(near, connect).finally(() => open--);
  }
}

/** Carries both ways until both sides have said their last. */
async function carry(near: Deno.TcpConn, connect: () => Promise<Deno.TcpConn>): Promise<void> {
  using _near = near;
  try {
    using far = await connect();
    await Promise.all([copy(near, far), copy(far, near)]);
  } catch {
    // Nobody listens there, or one side has gone: the other sees its connection end.
  }
}

async function copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let read = await from.read(piece); read !== null; read = await from.read(piece)) {
    for (let sent = 0; sent < read;) sent += await to.write(piece.subarray(sent, read));
  }
  await to.closeWrite();
}

await main();
Deno.exit(0);
