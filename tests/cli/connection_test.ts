import assert from "node:assert/strict";
import { openConnection } from "#/cli/connection.ts";
import { echoSource } from "../gateway/scripted_source.ts";
import { openHouse } from "../gateway/house.ts";

const at = ({ port, token }: { readonly port: number; readonly token: string }) => ({
  origin: `ws://127.0.0.1:${port}`,
  token,
});

/** A gateway that does what it likes with each client. */
async function withGateway(
  serve: (socket: WebSocket) => void,
  check: (endpoint: { port: number; token: string }) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    serve(socket);
    return response;
  });
  try {
    await check({ port: server.addr.port, token: "t" });
  } finally {
    await server.shutdown();
  }
}

const greet = (socket: WebSocket): void => {
  const session = { session_id: "s" };
  socket.send(JSON.stringify({ type: "hello_ack", payload: { request_id: "h", session } }));
  socket.send(JSON.stringify({ type: "gateway_info", payload: { provider: "p", model: "m", reason: "r" } }));
};

Deno.test("openConnection() is greeted with session and model, sends a turn and reads its frames", async () => {
  await using house = await openHouse({ source: echoSource() });
  const connection = await openConnection(at(house), { user: "ann" });
  assert.equal(connection.sessionId, "runtime-ann");
  assert.deepEqual([connection.info.provider, connection.info.model, connection.info.reason], [
    "demo",
    "demo",
    "no key is set",
  ]);
  connection.send("send_turn", { request_id: "r", session_id: "runtime-ann", turn_id: "t", prompt: "hello" });
  const types: string[] = [];
  for (let frame = await connection.next(); frame !== undefined; frame = await connection.next()) {
    types.push(frame.type === "turn_event" ? frame.payload.event!.type : frame.type);
    if (frame.type === "turn_completed") break;
  }
  assert.ok(types.includes("text_delta") && types.includes("turn_done"), types.join());
  connection.close();
  await connection.closed;
});

Deno.test("openConnection() takes the session that it is asked for", async () => {
  await using house = await openHouse({ source: echoSource() });
  const connection = await openConnection(at(house), { user: "ann", session: "elsewhere" });
  assert.equal(connection.sessionId, "elsewhere");
  connection.close();
  await connection.closed;
});

Deno.test("openConnection() keeps the token out of the address", async () => {
  const urls: string[] = [];
  const headers: (string | null)[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    urls.push(request.url);
    headers.push(request.headers.get("authorization"));
    return new Response(null, { status: 401 });
  });
  await assert.rejects(openConnection(at({ port: server.addr.port, token: "geheim" }), { user: "ann" }));
  await server.shutdown();
  assert.ok(!urls.join().includes("geheim"));
  assert.deepEqual(headers, ["Bearer geheim"]);
});

Deno.test("openConnection() says when the gateway refuses and when nobody answers", async () => {
  await using house = await openHouse();
  await assert.rejects(openConnection(at(house), { user: "bob" }), { code: "gateway_refused" });
  await assert.rejects(openConnection(at({ port: house.port, token: "wrong" }), { user: "ann" }), {
    code: "gateway_unreachable",
  });
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  gone.close();
  await assert.rejects(openConnection(at({ port: gone.addr.port, token: "t" }), { user: "ann" }), {
    code: "gateway_unreachable",
  });
  await withGateway((socket) => socket.onopen = () => socket.close(1000), async (endpoint) => {
    await assert.rejects(openConnection(at(endpoint), { user: "ann" }), { code: "gateway_unreachable" });
  });
});

Deno.test("openConnection() takes nothing that is no frame, before the greeting and after it", async () => {
  const wrong = ["", "{", "null", "[]", '"x"', '{"type":1,"payload":{}}', '{"type":"hello_ack"}'];
  for (const text of wrong) {
    await withGateway((socket) => socket.onopen = () => socket.send(text), async (endpoint) => {
      await assert.rejects(openConnection(at(endpoint), { user: "ann" }), { code: "protocol" }, text);
    });
    await withGateway((socket) =>
      socket.onopen = () => {
        greet(socket);
        socket.send(text);
      }, async (endpoint) => {
      const connection = await openConnection(at(endpoint), { user: "ann" });
      assert.equal(await connection.next(), undefined, text);
      await connection.closed;
    });
  }
});

Deno.test("next() ends with the connection, and closed resolves", async () => {
  await withGateway((socket) =>
    socket.onopen = () => {
      greet(socket);
      socket.send(JSON.stringify({ type: "one", payload: {} }));
      socket.send(JSON.stringify({ type: "two", payload: {} }));
      socket.close(1001);
    }, async (endpoint) => {
    const connection = await openConnection(at(endpoint), { user: "ann" });
    const frames = [await connection.next(), await connection.next(), await connection.next()];
    assert.deepEqual(frames.map((frame) => frame?.type), ["one", "two", undefined]);
    await connection.closed;
  });
});
