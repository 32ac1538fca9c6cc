/** The gateway at an address that other machines reach: real flags, real sockets, this machine's own address. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makeMachine, runOxydra, startGateway } from "../fixture/system.ts";
import { statusOf } from "../gateway/house.ts";

const TLS = fileURLToPath(new URL("../fixture/tls/", import.meta.url));
/** An address of this machine that is not loopback. */
const OWN = Deno.networkInterfaces().find(({ family, address }) => family === "IPv4" && !address.startsWith("127."))
  ?.address;

function freePort(hostname: string): number {
  const listener = Deno.listen({ hostname, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Status of an upgrade that names `host` in its headers. */
async function upgrade(connection: Deno.Conn, host: string, token: string, more: Record<string, string> = {}) {
  const headers = {
    Host: host,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    Authorization: `Bearer ${token}`,
    ...more,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await connection.write(new TextEncoder().encode(`GET /ws HTTP/1.1\r\n${lines}\r\n`));
  try {
    return await statusOf(connection as Deno.TcpConn);
  } finally {
    connection.close();
  }
}

Deno.test({
  name: "with TLS the gateway serves this machine's own address by its name, and its own clients on loopback",
  ignore: OWN === undefined,
  async fn() {
    const machine = await makeMachine();
    const port = freePort(OWN!);
    const env = {
      ...machine.env,
      OXYDRA__GATEWAY__BIND: `${OWN}:${port}`,
      OXYDRA__GATEWAY__PUBLIC_HOSTS: "localhost,oxydra.test",
      OXYDRA__GATEWAY__TLS_CERT_FILE: `${TLS}localhost.pem`,
      OXYDRA__GATEWAY__TLS_KEY_FILE: `${TLS}localhost.key`,
    };
    const gateway = await startGateway({ cwd: machine.cwd, env });
    try {
      const caCerts = [await Deno.readTextFile(`${TLS}ca.pem`)];
      const open = async () => {
        const tcp = await Deno.connect({ hostname: OWN!, port });
        return await Deno.startTls(tcp, { hostname: "localhost", caCerts });
      };
      assert.equal(await upgrade(await open(), `oxydra.test:${port}`, gateway.token), 101);
      assert.equal(await upgrade(await open(), "oxydra.test", gateway.token, { Origin: "https://oxydra.test" }), 101);
      assert.equal(await upgrade(await open(), "oxydra.test", gateway.token, { Origin: "http://oxydra.test" }), 403);
      assert.equal(await upgrade(await open(), `evil.test:${port}`, gateway.token), 403);
      assert.equal(await upgrade(await open(), "oxydra.test", "wrong"), 401);
      const attached = await runOxydra(["run", "list /shared"], { cwd: machine.cwd, env });
      assert.equal(attached.code, 0, attached.err);
      const status = await runOxydra(["status"], { cwd: machine.cwd, env });
      assert.match(status.out, new RegExp(`127\\.0\\.0\\.1:\\d+ and ${OWN}:${port} \\(TLS\\)`));
      const posture = await runOxydra(["posture"], { cwd: machine.cwd, env });
      assert.match(posture.out.replace(/\s+/g, " "), new RegExp(`and ${OWN}:${port} \\(TLS\\)`));
      const doctor = await runOxydra(["doctor", "--json"], { cwd: machine.cwd, env });
      assert.ok(doctor.out.includes(`--allow-net=127.0.0.1:0,${OWN}:${port}`), doctor.out);
    } finally {
      await gateway.stop();
    }
  },
});

Deno.test({
  name: "in plain text it serves other machines only when that was said twice, and says so",
  ignore: OWN === undefined,
  async fn() {
    const machine = await makeMachine();
    const port = freePort(OWN!);
    const env = {
      ...machine.env,
      OXYDRA__GATEWAY__BIND: `${OWN}:${port}`,
      OXYDRA__GATEWAY__PLAIN_TEXT_TO_THE_NETWORK: "true",
    };
    const refused = await runOxydra(["run", "hello"], { cwd: machine.cwd, env });
    assert.equal(refused.code, 2, refused.err);
    const child = runOxydra(["run", "--plain-text-to-the-network", "list /shared"], { cwd: machine.cwd, env });
    const { code, err } = await child;
    assert.equal(code, 0, err);
    const { out } = await runOxydra(["doctor"], { cwd: machine.cwd, env });
    assert.match(out.replace(/\s+/g, " "), new RegExp(`listens on ${OWN}:${port} \\(PLAIN TEXT\\)`));
  },
});

Deno.test("behind a proxy on this machine it is reached by the proxy's name, and a page by no other", async () => {
  const machine = await makeMachine();
  const port = freePort("127.0.0.1");
  const env = {
    ...machine.env,
    OXYDRA__GATEWAY__BIND: `127.0.0.1:${port}`,
    OXYDRA__GATEWAY__PUBLIC_HOSTS: "oxydra.test",
    OXYDRA__GATEWAY__TRUSTED_PROXY: "true",
  };
  const gateway = await startGateway({ cwd: machine.cwd, env });
  try {
    assert.equal(gateway.port, port);
    const ask = async (headers: Record<string, string>) =>
      await upgrade(await Deno.connect({ port }), `127.0.0.1:${port}`, gateway.token, headers);
    const proxied = { "X-Forwarded-Host": "oxydra.test", "X-Forwarded-Proto": "https" };
    assert.equal(await ask({}), 101);
    assert.equal(await ask({ ...proxied, Origin: "https://oxydra.test" }), 101);
    assert.equal(await ask({ ...proxied, Origin: "https://evil.test" }), 403);
    assert.equal(await ask({ ...proxied, "X-Forwarded-Host": "evil.test" }), 403);
  } finally {
    await gateway.stop();
  }
});
