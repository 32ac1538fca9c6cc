import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { TunnelAsk, TunnelEnd } from "#/sandbox/tunnel_frames.ts";
import { TunnelServer, type TunnelServerDeps } from "#/sandbox/tunnel_server.ts";
import { toNet } from "./egress_kit.ts";
import { echo, mirror, openServer, readAll, readUntil, say, until } from "./tunnel_kit.ts";

/** A server in this process, with a clock that the test moves, and a network in which every name leads to `port`. */
async function openHouse(port: number, change: Partial<TunnelServerDeps> = {}) {
  const dir = Deno.makeTempDirSync({ prefix: "ox-net-" });
  const clock = { now: 0 };
  const asked: TunnelAsk[] = [];
  const ends: TunnelEnd[] = [];
  const net = toNet(Array(100).fill(["93.184.216.34"]), port);
  const server = new TunnelServer({
    ask: (ask) => {
      asked.push(ask);
      return Promise.resolve({ kind: "public" as const });
    },
    onEnd: (end) => ends.push(end),
    net,
    now: () => clock.now,
    limits: { ...LIMITS, tunnelWatchMs: 1e9 },
    ...change,
  });
  await server.listen(0, `${dir}/proxy.sock`);
  return {
    server,
    dir,
    net,
    clock,
    asked,
    ends,
    open: async (text: string) => {
      const connection = await Deno.connect({ transport: "unix", path: `${dir}/proxy.sock` });
      await connection.write(new TextEncoder().encode(text));
      return connection;
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      Deno.removeSync(dir, { recursive: true });
    },
  };
}

const CONNECT = "CONNECT a.example:443 HTTP/1.1\r\n\r\n";
const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";
const limits = { ...LIMITS, tunnelWatchMs: 1e9 };

Deno.test("TunnelServer passes bytes on after CONNECT, and says afterwards what was carried and where", async () => {
  using far = openServer(echo);
  await using house = await openHouse(far.port);
  using connection = await house.open(`${CONNECT}hi`);
  assert.equal(await readUntil(connection, "hi"), `${ESTABLISHED}hi`);
  await connection.closeWrite();
  assert.equal(await readAll(connection), "");
  await until(() => house.ends.length === 1);
  assert.deepEqual(house.asked, [{ tunnel: 0, host: "a.example", port: 443 }]);
  assert.deepEqual(house.ends, [{
    ...house.asked[0],
    address: "127.0.0.1",
    upBytes: 2,
    downBytes: 2,
    elapsedMs: 0,
  }]);
});

Deno.test("TunnelServer passes on an end that comes with the head", async () => {
  using far = openServer(echo);
  await using house = await openHouse(far.port);
  assert.equal(await say(house.dir, CONNECT), ESTABLISHED);
  assert.equal(await say(house.dir, `${CONNECT}hi`), `${ESTABLISHED}hi`);
});

Deno.test("TunnelServer forwards one absolute-form request with its body, and ends at a second one", async () => {
  using far = openServer(async (connection) => {
    await mirror(connection);
    await readAll(connection);
  });
  await using house = await openHouse(far.port);
  const post = "POST http://a.example/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
  using connection = await house.open(post);
  assert.match(await readUntil(connection, "\r\n\r\nabc"), /POST \/x HTTP\/1\.1\r\nHost: a\.example\r\n/);
  await connection.write(new TextEncoder().encode("GET http://b.example/ HTTP/1.1\r\n\r\n"));
  assert.equal(await readAll(connection), "");
  assert.deepEqual(house.net.resolved, ["a.example"]);
  await until(() => house.ends.length === 1);
  assert.deepEqual([house.ends[0]!.upBytes, house.ends[0]!.reason], [3, "One request a connection"]);
});

Deno.test("TunnelServer answers what it refuses: the runner's word, an address inside, a host that is not there", async () => {
  using far = openServer(echo);
  await using refused = await openHouse(far.port, {
    ask: () => Promise.reject(new AppError("egress_denied", "a.example:443 was not granted to this command")),
  });
  assert.match(await say(refused.dir, CONNECT), /^HTTP\/1\.1 403 a\.example:443 was not granted/);
  assert.deepEqual(refused.net.resolved, [], "nothing is resolved before the runner said yes");
  await using inside = await openHouse(far.port, { net: toNet([["10.0.0.1"]], far.port) });
  assert.match(
    await say(inside.dir, CONNECT),
    /^HTTP\/1\.1 403 a\.example resolves to an address that is not public\r/,
  );
  await using nobody = await openHouse(far.port, { net: toNet([[]], far.port) });
  assert.match(await say(nobody.dir, CONNECT), /^HTTP\/1\.1 502 a\.example has no address\r/);
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  gone.close();
  await using down = await openHouse(gone.addr.port);
  assert.match(await say(down.dir, CONNECT), /^HTTP\/1\.1 502 a\.example refused the connection\r/);
});

Deno.test("TunnelServer.check() ends what is refused by now, also what is still connecting, and leaves the rest", async () => {
  using far = openServer(echo);
  const refused = new Set<string>();
  await using house = await openHouse(far.port, {
    ask: ({ host }) =>
      refused.has(host)
        ? Promise.reject(new AppError("egress_denied", "no more"))
        : Promise.resolve({ kind: "public" as const }),
    net: {
      ...toNet([], far.port),
      resolve: (host) => host === "slow.example" ? new Promise(() => {}) : Promise.resolve(["93.184.216.34"]),
    },
  });
  using open = await house.open(CONNECT);
  using kept = await house.open(CONNECT.replace("a.example", "kept.example"));
  using slow = await house.open(CONNECT.replace("a.example", "slow.example"));
  await readUntil(open, "\r\n\r\n");
  await readUntil(kept, "\r\n\r\n");
  ["a.example", "slow.example"].forEach((host) => refused.add(host));
  await house.server.check(0);
  assert.equal(await readAll(open), "");
  assert.match(await readAll(slow), /^HTTP\/1\.1 403 no more/);
  await kept.write(new TextEncoder().encode("still"));
  assert.equal(await readUntil(kept, "still"), "still");
});

Deno.test("TunnelServer.watch() ends a head, a connect and a silence that take too long", async () => {
  using far = openServer(echo);
  await using house = await openHouse(far.port, {
    limits,
    net: {
      ...toNet([], far.port),
      resolve: (host) => host === "slow.example" ? new Promise(() => {}) : Promise.resolve(["93.184.216.34"]),
    },
  });
  using head = await house.open("CONNECT a");
  using slow = await house.open(CONNECT.replace("a.example", "slow.example"));
  using open = await house.open(CONNECT);
  await readUntil(open, "\r\n\r\n");
  await until(() => house.asked.length === 2);
  house.clock.now = limits.tunnelHeadMs;
  house.server.watch();
  await open.write(new TextEncoder().encode("a"));
  assert.equal(await readUntil(open, "a"), "a", "at the limit nothing ends");
  house.clock.now++;
  house.server.watch();
  assert.match(await readAll(head), /^HTTP\/1\.1 504 It took too long/);
  house.clock.now = limits.tunnelConnectMs + 1;
  house.server.watch();
  assert.match(await readAll(slow), /^HTTP\/1\.1 504 It took too long/);
  house.clock.now = limits.tunnelHeadMs + limits.tunnelIdleMs;
  house.server.watch();
  house.clock.now++;
  house.server.watch();
  assert.equal(await readAll(open), "");
});

Deno.test("TunnelServer ends any connection after its whole time, however busy", async () => {
  using far = openServer(echo);
  await using house = await openHouse(far.port, { limits: { ...limits, tunnelConnectionMs: 1_000 } });
  using open = await house.open(CONNECT);
  await readUntil(open, "\r\n\r\n");
  house.clock.now = 999;
  await open.write(new TextEncoder().encode("a"));
  await readUntil(open, "a");
  house.clock.now = 1_001;
  house.server.watch();
  assert.equal(await readAll(open), "");
});

Deno.test("TunnelServer counts bytes up and down, of one connection and of all of a tunnel", async () => {
  using far = openServer(echo);
  const cases = [
    [{ tunnelUpBytesMax: 4 }, "It sent too much"],
    [{ tunnelAllUpBytesMax: 4 }, "It sent too much"],
    [{ tunnelDownBytesMax: 4 }, "It received too much"],
    [{ tunnelAllDownBytesMax: 4 }, "It received too much"],
  ] as const;
  for (const [change, reason] of cases) {
    await using house = await openHouse(far.port, { limits: { ...limits, ...change } });
    using open = await house.open(`${CONNECT}abcd`);
    assert.equal(await readUntil(open, "abcd"), `${ESTABLISHED}abcd`, "at the limit");
    if ("tunnelAllUpBytesMax" in change) {
      using other = await house.open(`${CONNECT}a`);
      await readAll(other);
    } else {
      await open.write(new TextEncoder().encode("e"));
      await readAll(open);
    }
    await until(() => house.ends.length > 0);
    assert.equal(house.ends[0]!.reason, reason, JSON.stringify(change));
  }
});

Deno.test("TunnelServer takes so many connections of a tunnel, so many of all, and heads of a size", async () => {
  using far = openServer(echo);
  for (const change of [{ tunnelConnectionsMax: 2 }, { tunnelConnectionsAllMax: 2 }]) {
    await using house = await openHouse(far.port, { limits: { ...limits, ...change } });
    using first = await house.open(CONNECT);
    using second = await house.open("CONNECT a");
    await readUntil(first, "\r\n\r\n");
    assert.match(await say(house.dir, CONNECT), /^HTTP\/1\.1 503 Too many connections/);
    second.close();
    await until(() => house.asked.length === 1);
  }
  await using house = await openHouse(far.port);
  const fits = `GET http://a.example/ HTTP/1.1\r\nA: `;
  const pad = "x".repeat(LIMITS.tunnelHeadBytesMax - fits.length);
  using fitting = await house.open(`${fits}${pad}\r\n\r\n`);
  await readUntil(fitting, "\r\n\r\n");
  assert.match(await say(house.dir, `${fits}${pad}x\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await say(house.dir, "x".repeat(LIMITS.tunnelHeadBytesMax + 8)), /^HTTP\/1\.1 431 /);
});

Deno.test("TunnelServer.end() ends a tunnel and nothing else, and listen() begins anew", async () => {
  using far = openServer(echo);
  await using house = await openHouse(far.port);
  await house.server.listen(1, `${house.dir}/other.sock`);
  using open = await house.open(CONNECT);
  await readUntil(open, "\r\n\r\n");
  await house.server.end(1);
  await open.write(new TextEncoder().encode("still"));
  assert.equal(await readUntil(open, "still"), "still");
  await house.server.listen(0, `${house.dir}/proxy.sock`);
  assert.equal(await readAll(open), "");
  assert.match(await say(house.dir, "x\r\n\r\n"), /^HTTP\/1\.1 400 /);
  await house.server.end(0);
  await assert.rejects(say(house.dir, CONNECT));
});
