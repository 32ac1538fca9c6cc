import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { planEgress } from "#/sandbox/egress_plan.ts";
import { TunnelAsk, TunnelEnd, TunnelOrder, TunnelRoute } from "#/sandbox/tunnel_frames.ts";
import { TunnelProcess } from "#/sandbox/tunnel_process.ts";
import { openRawServer, toAnswer } from "./egress_kit.ts";
import {
  echo,
  mirror,
  openRealTunnels,
  openServer,
  readAll,
  readUntil,
  say,
  toTunnelPlanInput,
  until,
} from "./tunnel_kit.ts";

const connectTo = (port: number) => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`;
const dial = (dir: string) => Deno.connect({ transport: "unix", path: `${dir}/proxy.sock` });

Deno.test("openTunnels() carries CONNECT and absolute-form requests to a listed host that is open", async () => {
  using server = openServer(echo);
  using web = openServer(mirror);
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${server.port}`, `127.0.0.1:${web.port}`] });
  const tunnel = await tunnels.open("a", () => true);
  await tunnel.arm();
  using connection = await dial(tunnel.dir);
  await connection.write(new TextEncoder().encode(`${connectTo(server.port)}hello`));
  assert.equal(await readUntil(connection, "hello"), "HTTP/1.1 200 Connection established\r\n\r\nhello");
  const answer = await say(tunnel.dir, `GET http://127.0.0.1:${web.port}/a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n`);
  assert.match(answer, /\r\n\r\nGET \/a\?b HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nConnection: close\r\nA: b\r\n\r\n$/);
  await until(() => tunnels.ends.length === 1);
  assert.equal(tunnels.ends[0]!.address, "127.0.0.1");
  assert.equal(tunnels.ends[0]!.id, "a");
  assert.ok(tunnels.log.includes(`egress_allowlist: tunnel a to 127.0.0.1:${web.port}`), tunnels.log.join());
});

Deno.test("openTunnels() starts no process before a tunnel is armed, and none is left when the last one is closed", async () => {
  await using tunnels = openRealTunnels({ allowlist: ["127.0.0.1:9"] });
  const [a, b] = [await tunnels.open("a", () => true), await tunnels.open("b", () => true)];
  assert.deepEqual([tunnels.pids, [...Deno.readDirSync(a.dir)]], [[], []]);
  await a.cut();
  assert.deepEqual(tunnels.pids, [], "there is nothing to cut");
  await Promise.all([a.arm(), b.arm(), a.arm()]);
  assert.equal(tunnels.pids.length, 1, "what is listed needs its own process only when it is asked for");
  for (const { dir } of [a, b]) assert.match(await say(dir, "x\r\n\r\n"), /^HTTP\/1\.1 400 /);
  assert.equal(Deno.statSync(tunnels.dir).mode! & 0o777, 0o700, "the folder above is the runner's alone");
  await a.close();
  await assert.rejects(a.arm(), { code: "egress_failed" });
  assert.match(await say(b.dir, "x\r\n\r\n"), /^HTTP\/1\.1 400 /);
  await b.close();
  await b.close();
  assert.deepEqual([tunnels.pids, [...Deno.readDirSync(tunnels.dir)]], [[], []]);
});

Deno.test("openTunnels() replaces a process that dies, and tunnels go on", async () => {
  using server = openServer(echo);
  await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${server.port}`] });
  const tunnel = await tunnels.open("a", () => true);
  await tunnel.arm();
  for (let round = 0; round < 2; round++) {
    using connection = await dial(tunnel.dir);
    await connection.write(new TextEncoder().encode(`${connectTo(server.port)}hello`));
    await readUntil(connection, "hello");
    const killed = [...tunnels.pids];
    assert.equal(killed.length, 2);
    for (const pid of killed) Deno.kill(pid, "SIGKILL");
    assert.equal(await readAll(connection), "");
    await until(() => tunnels.pids.length === 2 && tunnels.pids.every((pid) => !killed.includes(pid)));
    await tunnel.arm();
  }
  assert.match(tunnels.log.join("\n"), /the egress process of tunnels ended; the next one starts in 100 ms/);
});

Deno.test("openTunnels() has so many tunnels, and an end makes room for another", async () => {
  await using tunnels = openRealTunnels();
  const all = await Promise.all(Array.from({ length: LIMITS.tunnelsMax }, (_, i) => tunnels.open(`t${i}`, () => true)));
  assert.equal(new Set(all.map(({ dir }) => dir)).size, LIMITS.tunnelsMax);
  await assert.rejects(tunnels.open("more", () => true), { code: "queue_full" });
  await all[7]!.close();
  assert.equal((await tunnels.open("more", () => true)).dir, all[7]!.dir);
});

Deno.test("openTunnels() in strict mode reaches listed hosts only, through the proxy, with its credentials", async () => {
  await using proxy = openRawServer((write) => write(toAnswer("by the proxy")));
  await using tunnels = openRealTunnels({
    mode: "strict",
    proxyUrl: `http://me:pw@127.0.0.1:${proxy.port}`,
    allowlist: ["listed.example"],
  });
  assert.equal(tunnels.plans.length, 1);
  const tunnel = await tunnels.open("a", () => true);
  await tunnel.arm();
  const answer = await say(tunnel.dir, "GET http://listed.example/a HTTP/1.1\r\nProxy-Authorization: mine\r\n\r\n");
  assert.match(answer, /by the proxy$/);
  const [head = ""] = proxy.heads;
  assert.match(head, /^GET http:\/\/listed\.example\/a HTTP\/1\.1\r\nHost: listed\.example\r\n/);
  assert.match(head, /\r\nProxy-Authorization: Basic bWU6cHc=\r\n/);
  assert.doesNotMatch(head, /mine/);
  assert.match(
    await say(tunnel.dir, "CONNECT other.example:443 HTTP/1.1\r\n\r\n"),
    /^HTTP\/1\.1 403 egress_mode is strict and other\.example:443 is not in egress_allowlist/,
  );
  await say(tunnel.dir, "CONNECT listed.example:443 HTTP/1.1\r\n\r\n");
  assert.match(proxy.heads[1] ?? "", /^CONNECT listed\.example:443 HTTP\/1\.1\r\n/);
});

Deno.test("TunnelProcess kills what answers with something else, and what does not obey", async () => {
  const log: string[] = [];
  for (const script of ["process.stdout.write('no frame at all, but long enough to be read as one')", "Deno.exit(3)"]) {
    const process = new TunnelProcess({
      plan: { command: Deno.execPath(), args: ["eval", script], env: { NO_COLOR: "1" }, reach: [] },
      toListen: () => [],
      onAsk: () => Promise.resolve({ kind: "public" }),
      onEnd: () => {},
      onLog: (line) => log.push(line),
    });
    await assert.rejects(process.listen(0, "/nowhere/proxy.sock"), { code: "egress_failed" });
    await process.end();
    assert.equal(process.pid, undefined);
  }
  const missing = new TunnelProcess({
    plan: { command: "/nonexistent", args: [], env: {}, reach: [] },
    toListen: () => [],
    onAsk: () => Promise.resolve({ kind: "public" }),
    onEnd: () => {},
    onLog: () => {},
  });
  await assert.rejects(missing.listen(0, "/x"), { code: "egress_failed", message: /cannot be started/ });
  await missing.order({ op: "check", tunnel: 0 });
});

Deno.test("planEgress() of tunnels opens one folder of sockets, and where hosts are listed their paths alone", () => {
  const sockets = { dir: "/r/net", paths: ["/r/net/listed.sock"] };
  const all = planEgress(toTunnelPlanInput(), undefined, sockets);
  assert.ok(all.args.includes("--allow-read=/r/net") && all.args.includes("--allow-write=/r/net"));
  assert.ok(all.args.includes("--allow-net"));
  const listed = planEgress(toTunnelPlanInput(), ["a:1"], sockets);
  assert.ok(listed.args.includes("--allow-net=a:1,unix:/r/net/listed.sock"));
  assert.ok(!listed.args.includes("--allow-net"));
  assert.match(all.reach.join(), /one folder of sockets/);
});

Deno.test("the frames of tunnels are strict: TunnelOrder, TunnelAsk, TunnelRoute, TunnelEnd", () => {
  const ask = { tunnel: 0, host: "a", port: 1 };
  assert.ok(TunnelAsk.safeParse(ask).success);
  for (const bad of [{ tunnel: LIMITS.tunnelsMax }, { port: 0 }, { port: 65_536 }, { host: 1 }, { more: 1 }]) {
    assert.ok(!TunnelAsk.safeParse({ ...ask, ...bad }).success, JSON.stringify(bad));
  }
  assert.ok(TunnelOrder.safeParse({ op: "listen", tunnel: null, path: "/a" }).success);
  assert.ok(!TunnelOrder.safeParse({ op: "check", tunnel: null }).success);
  assert.ok(TunnelRoute.safeParse({ kind: "relay", path: "/a" }).success);
  assert.ok(!TunnelRoute.safeParse({ kind: "relay" }).success);
  const end = { ...ask, address: "", upBytes: 0, downBytes: 0, elapsedMs: 0 };
  assert.ok(TunnelEnd.safeParse(end).success);
  assert.ok(!TunnelEnd.safeParse({ ...end, reason: "x".repeat(201) }).success);
});
