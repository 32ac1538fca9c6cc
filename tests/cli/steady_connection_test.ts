import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { SteadyConnection } from "#/cli/steady_connection.ts";
import { waitUntil } from "../fixture/system.ts";
import { openHouse } from "../gateway/house.ts";
import { echoSource } from "../gateway/scripted_source.ts";

/** A gateway on this port, or any, that greets, notes each session that it was asked for, and closes when told. */
function serve(port = 0) {
  const hellos: unknown[] = [];
  const sockets: WebSocket[] = [];
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const token = request.headers.get("authorization");
    const { socket, response } = Deno.upgradeWebSocket(request);
    sockets.push(socket);
    socket.onmessage = (event) => {
      const { type, payload } = JSON.parse(event.data);
      if (type !== "hello") return hellos.push(payload);
      hellos.push([token, payload.session_id]);
      socket.send(JSON.stringify({ type: "hello_ack", payload: { session: { session_id: "chosen" } } }));
      socket.send(JSON.stringify({ type: "gateway_info", payload: { provider: `p${hellos.length}` } }));
    };
    return response;
  });
  return {
    port: server.addr.port,
    hellos,
    drop: () => sockets.forEach((socket) => socket.close(1012)),
    close: () => server.shutdown(),
  };
}

const unreachable = () => new AppError("gateway_unreachable", "the endpoint file is gone");

Deno.test("reconnect() does not go back to a gateway that sent what is no frame", async () => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = () => {
      socket.send(JSON.stringify({ type: "hello_ack", payload: { session: { session_id: "s" } } }));
      socket.send(JSON.stringify({ type: "gateway_info", payload: {} }));
      socket.send("garbage");
    };
    return response;
  });
  const connection = await SteadyConnection.open({
    endpoint: () => ({ origin: `ws://127.0.0.1:${server.addr.port}`, token: "t" }),
    hello: { user: "ann" },
    isRunnerThere: () => Promise.resolve(true),
  });
  await connection.closed;
  await assert.rejects(connection.reconnect(), { code: "protocol" });
  assert.equal(connection.broken?.code, "protocol");
  await server.shutdown();
});

Deno.test("reconnect() waits for the next address, and says hello in the same session with its token", async () => {
  const gateway = serve();
  let tries = 0;
  let token = "one";
  const connection = await SteadyConnection.open({
    endpoint() {
      if (tries++ > 0 && tries < 4) throw unreachable();
      return { origin: `ws://127.0.0.1:${gateway.port}`, token };
    },
    hello: { user: "ann" },
    isRunnerThere: () => Promise.resolve(true),
  });
  assert.deepEqual([connection.sessionId, connection.info.provider], ["chosen", "p1"]);
  gateway.drop();
  assert.equal(await connection.next(), undefined);
  await connection.closed;
  token = "two";
  assert.equal(await connection.reconnect(), true);
  connection.send("ping", { request_id: "r" });
  assert.deepEqual([connection.sessionId, connection.info.provider, tries], ["chosen", "p2", 4]);
  await waitUntil(() => gateway.hellos.length === 3, "the frame does not come");
  gateway.drop();
  await connection.closed;
  assert.deepEqual(gateway.hellos, [["Bearer one", undefined], ["Bearer two", "chosen"], { request_id: "r" }]);
  await gateway.close();
});

Deno.test("reconnect() ends at once when no runner is there, and after its time when nothing listens", async () => {
  for (const [isThere, reconnectMs] of [[false, 60_000], [true, 60]] as const) {
    const gateway = serve();
    const connection = await SteadyConnection.open({
      endpoint: () => ({ origin: `ws://127.0.0.1:${gateway.port}`, token: "t" }),
      hello: { user: "ann" },
      isRunnerThere: () => Promise.resolve(isThere),
      reconnectMs,
    });
    connection.close();
    await connection.closed;
    await gateway.close();
    assert.equal(await connection.reconnect(), false);
  }
});

Deno.test("reconnect() throws what the gateway refuses, and when it is at a port that this process may not reach", async () => {
  await using house = await openHouse({ source: echoSource() });
  let port = house.port;
  const hello: { user: string; session?: string } = { user: "ann", session: "mine" };
  const connection = await SteadyConnection.open({
    endpoint: () => ({ origin: `ws://127.0.0.1:${port}`, token: house.token }),
    hello,
    isRunnerThere: () => Promise.resolve(true),
  });
  assert.equal(connection.sessionId, "mine");
  hello.user = "bob";
  await assert.rejects(connection.reconnect(), { code: "gateway_refused" });
  port = 9;
  await assert.rejects(connection.reconnect(), {
    code: "gateway_unreachable",
    message: /at another address now \(ws:\/\/127.0.0.1:9\)/,
  });
});
