import assert from "node:assert/strict";
import { echo, mirror, openRealTunnels, openServer, readUntil, say } from "./tunnel_kit.ts";

Deno.test("openTunnels() carries CONNECT and absolute-form requests to a listed host that is open", async () => {
  using server = openServer(echo);
  using web = openServer(mirror);
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${server.port}`, `127.0.0.1:${web.port}`] });
  const tunnel = await tunnels.open("a", () => true);
  await tunnel.arm();
  using connection = await Deno.connect({ transport: "unix", path: `${tunnel.dir}/proxy.sock` });
  await connection.write(new TextEncoder().encode(`CONNECT 127.0.0.1:${server.port} HTTP/1.1\r\n\r\nhello`));
  assert.equal(await readUntil(connection, "hello"), "HTTP/1.1 200 Connection established\r\n\r\nhello");
  const answer = await say(tunnel.dir, `GET http://127.0.0.1:${web.port}/a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n`);
  assert.match(answer, /\r\n\r\nGET \/a\?b HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nConnection: close\r\nA: b\r\n\r\n$/);
});
