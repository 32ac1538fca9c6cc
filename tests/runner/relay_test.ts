/** src/runner/relay.ts as a real process with the flags of its plan, between sockets of this test. */
import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { openRelay, type Relay } from "#/runner/open_relay.ts";
import { planRelay, type RelayRequest } from "#/runner/plan_relay.ts";
import { denoEnv } from "../fixture/system.ts";
import { thisProgram } from "../fixture/workspace.ts";

/** In the place of a bridge's address: another one of this machine's loopback. */
const NEAR = "127.0.0.2";

async function open(request: Partial<RelayRequest> & Pick<RelayRequest, "targets">): Promise<Relay> {
  const all = { address: NEAR, subnet: "127.0.0.0/8", ...request };
  return await openRelay(planRelay({ program: thisProgram(), env: denoEnv() }, all), () => {});
}

/** A server that sends back what it got once the other side has said its last; `held` keeps it from reading. */
function listenEcho(held: Promise<void> = Promise.resolve()): { port: number; close(): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const conn of listener) {
      void (async () => {
        await held;
        await send(conn, await readAll(conn));
        conn.close();
      })().catch(() => conn.close());
    }
  })();
  return { port: listener.addr.port, close: () => listener.close() };
}

async function readAll(conn: Deno.TcpConn): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const piece = new Uint8Array(65_536);
  for (let read = await conn.read(piece); read !== null; read = await conn.read(piece)) {
    pieces.push(piece.slice(0, read));
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

async function send(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
  await conn.closeWrite();
}

async function echo(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  return await echoOver(await Deno.connect({ hostname: NEAR, port }), bytes);
}

async function echoOver(opened: Deno.TcpConn, bytes: Uint8Array): Promise<Uint8Array> {
  using conn = opened;
  const [got] = await Promise.all([readAll(conn), send(conn, bytes)]);
  return got;
}

Deno.test("relay.ts carries bytes both ways, whole and in order, for each of its targets and to their own ports", async () => {
  const servers = [listenEcho(), listenEcho()];
  const targets = servers.map(({ port }) => ({ hostname: "127.0.0.1", port }));
  const relay = await open({ targets });
  try {
    assert.deepEqual(relay.ports, servers.map(({ port }) => port), "the same numbers, at the other address");
    const bytes = crypto.getRandomValues(new Uint8Array(65_536)).slice();
    const long = new Uint8Array(await new Blob(Array(40).fill(bytes)).arrayBuffer());
    const [first, second] = await Promise.all([echo(relay.ports[0]!, long), echo(relay.ports[1]!, bytes)]);
    assert.deepEqual(first, long);
    assert.deepEqual(second, bytes);
  } finally {
    await relay.close();
    servers.forEach((server) => server.close());
  }
  await assert.rejects(Deno.connect({ hostname: NEAR, port: relay.ports[0]! }), "nobody listens any more");
});

Deno.test("relay.ts takes another port where its own is taken, and ends a connection that leads nowhere", async () => {
  using taken = Deno.listen({ hostname: NEAR, port: 0 });
  const relay = await open({ targets: [{ hostname: "127.0.0.1", port: taken.addr.port }] });
  assert.notEqual(relay.ports[0], taken.addr.port);
  assert.equal((await echo(relay.ports[0]!, new Uint8Array(0))).length, 0);
  await relay.close();
});

Deno.test("relay.ts serves the container's network and nobody else", async () => {
  const server = listenEcho();
  const relay = await open({ subnet: "172.30.0.0/16", targets: [{ hostname: "127.0.0.1", port: server.port }] });
  const got = await echo(relay.ports[0]!, new Uint8Array([1, 2, 3])).catch(() => new Uint8Array(0));
  assert.equal(got.length, 0);
  await relay.close();
  server.close();
});

Deno.test("relay.ts carries relayConnectionsMax connections at once; a place that is freed is given again", async () => {
  const hold = Promise.withResolvers<void>();
  const server = listenEcho(hold.promise);
  const relay = await open({ targets: [{ hostname: "127.0.0.1", port: server.port }] });
  const port = relay.ports[0]!;
  const full = await Promise.all(
    Array.from({ length: LIMITS.relayConnectionsMax }, () => Deno.connect({ hostname: NEAR, port })),
  );
  let refused = await echo(port, new Uint8Array([1])).catch(() => new Uint8Array(0));
  assert.equal(refused.length, 0, "one too many");
  hold.resolve();
  const one = new Uint8Array([1]);
  for (const got of await Promise.all(full.map((conn) => echoOver(conn, one)))) assert.deepEqual(got, one);
  // Its end may reach the relay after ours did.
  do refused = await echo(port, new Uint8Array([1])).catch(() => new Uint8Array(0)); while (refused.length === 0);
  await relay.close();
  server.close();
});

Deno.test("planRelay() opens the addresses it is named and nothing else", () => {
  const { args, env, reach } = planRelay({ program: thisProgram(), env: { DENO_DIR: "/c", SECRET: "x" } }, {
    address: "172.30.0.1",
    subnet: "172.30.0.0/16",
    targets: [{ hostname: "localhost", port: 11_434 }],
  });
  const flags = args.filter((arg) => arg.startsWith("--allow"));
  assert.deepEqual(flags, ["--allow-net=172.30.0.1:0,172.30.0.1:11434,localhost:11434"]);
  assert.deepEqual(env, { DENO_NO_UPDATE_CHECK: "1", DENO_DIR: "/c" });
  assert.match(reach[0]!, /localhost:11434/);
});

Deno.test("openRelay() says when no relay came up, and leaves no process", async () => {
  const plan = planRelay({ program: thisProgram(), env: denoEnv() }, {
    address: "203.0.113.1",
    subnet: "203.0.113.0/24",
    targets: [{ hostname: "127.0.0.1", port: 1 }],
  });
  const log: string[] = [];
  await assert.rejects(openRelay(plan, (line) => log.push(line)), { code: "guest_failed" });
  assert.match(log.join(""), /relay: .*AddrNotAvailable/s);
});
