import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { openEgress } from "#/sandbox/egress_client.ts";
import { EgressProcess } from "#/sandbox/egress_process.ts";
import { planEgress } from "#/sandbox/egress_plan.ts";
import {
  never,
  openRawServer,
  openRealEgress,
  readCertificate,
  toAnswer,
  toCall,
  toPlanInput,
  toRequest,
} from "./egress_kit.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("openEgress() reaches a listed host in a second process, by address and by name, and logs it", async () => {
  await using server = openRawServer((write) => write(toAnswer("hello", "X: y\r\n")));
  await using egress = openRealEgress({ allowlist: [`127.0.0.1:${server.port}`, `localhost:${server.port}`] });
  assert.deepEqual(egress.pids, []);
  for (const host of ["127.0.0.1", "0x7f.1", "localhost", "LOCALHOST."]) {
    const { head, content } = await egress.request(toRequest(`http://${host}:${server.port}/a?key=secret`), never);
    assert.deepEqual([head.status, head.address, text(content)], [200, "127.0.0.1", "hello"], host);
  }
  assert.equal(egress.pids.length, 1);
  assert.equal(egress.exceptions.length, 4);
  assert.equal(egress.exceptions[0], `egress_allowlist: GET http://127.0.0.1:${server.port}`);
  const refused = egress.request(toRequest(`http://127.0.0.1:${server.port - 1}/`), never);
  await assert.rejects(refused, { code: "egress_denied", message: /not public/ });
  assert.equal(egress.pids.length, 2);
  assert.deepEqual(egress.log, []);
});

Deno.test("openEgress() carries 5 MiB, and many requests at once up to the bound of its process", async () => {
  const body = new Uint8Array(LIMITS.egressDownBytesMax).fill(7);
  const release = Promise.withResolvers<void>();
  let waiting = 0;
  const all = Promise.withResolvers<void>();
  await using server = openRawServer(async (write, head) => {
    if (head.startsWith("GET /wait")) {
      if (++waiting === LIMITS.egressExchangesMax) all.resolve();
      await release.promise;
      return await write(toAnswer("ok"));
    }
    await write(toAnswer(body));
  });
  const url = `http://127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [url.slice(7)] });
  const large = await egress.request(toRequest(`${url}/`, { downBytesMax: LIMITS.egressDownBytesMax }), never);
  assert.ok(large.content.length === body.length && large.content.every((byte) => byte === 7));
  assert.deepEqual([large.head.truncated, large.head.bodyBytes], [false, body.length]);
  const asked = Array.from(
    { length: LIMITS.egressExchangesMax },
    () => egress.request(toRequest(`${url}/wait`), never),
  );
  await all.promise;
  await assert.rejects(egress.request(toRequest(`${url}/`), never), { code: "queue_full" });
  release.resolve();
  assert.ok((await Promise.all(asked)).every(({ content }) => text(content) === "ok"));
});

Deno.test("openEgress() cancels, times out, and goes on with the same process", async () => {
  const arrived = Promise.withResolvers<void>();
  await using server = openRawServer(async (write, head, conn) => {
    if (head.startsWith("GET /ok")) return await write(toAnswer("ok"));
    arrived.resolve();
    await conn.read(new Uint8Array(1));
  });
  const url = `http://127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [url.slice(7)] });
  const abort = new AbortController();
  const asked = egress.request(toRequest(`${url}/silent`), abort.signal);
  await arrived.promise;
  const pids = egress.pids;
  abort.abort();
  await assert.rejects(asked, { code: "cancelled" });
  await assert.rejects(egress.request(toRequest(`${url}/silent`, { timeoutMs: 60 }), never), {
    code: "egress_timeout",
  });
  assert.equal(text((await egress.request(toRequest(`${url}/ok`), never)).content), "ok");
  assert.deepEqual(egress.pids, pids);
});

Deno.test("openEgress() starts a process anew when the one before died; what was under way fails", async () => {
  const arrived = Promise.withResolvers<void>();
  await using server = openRawServer(async (write, head, conn) => {
    if (head.startsWith("GET /ok")) return await write(toAnswer("ok"));
    arrived.resolve();
    await conn.read(new Uint8Array(1));
  });
  const url = `http://127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [url.slice(7)] });
  const asked = egress.request(toRequest(`${url}/silent`), never);
  await arrived.promise;
  const [pid] = egress.pids;
  Deno.kill(pid!, "SIGKILL");
  await assert.rejects(asked, { code: "egress_failed", message: /ended during the request/ });
  assert.equal(text((await egress.request(toRequest(`${url}/ok`), never)).content), "ok");
  assert.notEqual(egress.pids[0], pid);
});

Deno.test("openEgress() warms the process that most requests need, and ends its processes when it is closed", async () => {
  const egress = openRealEgress();
  egress.warm();
  const [pid] = egress.pids;
  Deno.kill(pid!, "SIGCONT");
  await egress.close();
  assert.throws(() => Deno.kill(pid!, "SIGCONT"));
  assert.deepEqual(egress.pids, []);
  await assert.rejects(egress.request(toRequest("http://example.com/"), never), { code: "egress_failed" });
});

Deno.test("openEgress() in strict mode: listed hosts only, through the proxy only", async () => {
  await using secure = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, ...readCertificate("other") },
    () => new Response("inside TLS"),
  );
  // A real forward proxy: CONNECT is tunnelled, the absolute form answered.
  await using proxy = openRawServer(async (write, head, conn) => {
    if (head.startsWith("CONNECT refused.test")) return await write(toAnswer("", "", "403 Forbidden"));
    if (!head.startsWith("CONNECT ")) return await write(toAnswer("by proxy"));
    using target = await Deno.connect({ hostname: "127.0.0.1", port: secure.addr.port });
    await write("HTTP/1.1 200 Connection established\r\n\r\n");
    await Promise.all([
      conn.readable.pipeTo(target.writable).catch(() => {}),
      target.readable.pipeTo(conn.writable).catch(() => {}),
    ]);
  });
  await using egress = openRealEgress({
    mode: "strict",
    allowlist: ["plain.test", "other.test", "refused.test"],
    proxyUrl: `http://us%65r:p%40ss@localhost:${proxy.port}/`,
  });
  assert.deepEqual(egress.plans.map(({ args }) => args.filter((arg) => /^--(allow|deny)-/.test(arg))), [[
    `--allow-net=localhost:${proxy.port}`,
  ]]);
  const plain = await egress.request(toRequest("http://plain.test/a?b"), never);
  assert.equal(text(plain.content), "by proxy");
  assert.match(proxy.heads[0]!, /^GET http:\/\/plain\.test\/a\?b HTTP\/1\.1\r\nHost: plain\.test\r\n/);
  assert.match(proxy.heads[0]!, new RegExp(`\r\nProxy-Authorization: Basic ${btoa("user:p@ss")}\r\n`));
  const tunnelled = await egress.request(toRequest("https://other.test/"), never);
  assert.equal(text(tunnelled.content), "inside TLS");
  assert.match(
    proxy.heads[1]!,
    /^CONNECT other\.test:443 HTTP\/1\.1\r\nHost: other\.test:443\r\nProxy-Authorization: /,
  );
  const failed = egress.request(toRequest("https://refused.test/"), never);
  await assert.rejects(failed, { code: "egress_failed", message: /proxy answered 403/ });
  for (const url of ["http://example.com/", "http://plain.test:8080/", "http://127.0.0.1/"]) {
    await assert.rejects(egress.request(toRequest(url), never), { code: "egress_denied", message: /strict/ });
  }
  egress.warm();
  assert.equal(egress.pids.length, 1);
});

Deno.test("openEgress() refuses strict mode without a usable proxy, and an entry that is no host", () => {
  const open = (change: Record<string, unknown>) =>
    openEgress({ plan: toPlanInput(), allowlist: [], mode: "strict", onException() {}, onLog() {}, ...change });
  assert.throws(() => open({}), { code: "config_invalid", message: /needs egress_proxy_url/ });
  for (const proxyUrl of ["https://proxy:1", "proxy", "socks5://proxy:1"]) {
    assert.throws(() => open({ proxyUrl }), { code: "config_invalid", message: /http:\/\/ address/ });
  }
  assert.throws(() => open({ mode: "default", allowlist: ["a/b"] }), { code: "config_invalid" });
});

/** A process with this code in the place of ours. */
async function openBadProcess(code: string, graceMs?: number): Promise<{ process: EgressProcess; log: string[] }> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, code);
  const log: string[] = [];
  const plan = planEgress({ ...toPlanInput(), entryUrl: `file://${file}` });
  return { process: new EgressProcess(plan, (line) => log.push(line), graceMs), log };
}

Deno.test("EgressProcess kills what answers with something else, hangs or floods", async () => {
  const frame = (value: string) =>
    `const body = new TextEncoder().encode(${value});
    const out = new Uint8Array(9 + body.length); const view = new DataView(out.buffer);
    view.setUint32(0, body.length + 5); view.setUint32(5, 1); out.set(body, 9);
    await Deno.stdin.read(new Uint8Array(65536)); await Deno.stdout.write(out); await new Promise((r) => setInterval(r, 1e6));`;
  const answer = (body: unknown) =>
    frame(JSON.stringify(JSON.stringify({ v: 1, type: "response", body, contentBytes: 0 })));
  const head = { status: 200, headers: [], address: "", wireBytes: 0, bodyBytes: 0, truncated: false };
  const table: [string, RegExp][] = [
    [answer({ ...head, grant: 1 }), /something else/],
    [answer({ ...head, bodyBytes: 1 }), /something else/],
    [frame('"garbage"'), /ended during the request/],
    ["Deno.stdout.writeSync(new Uint8Array(1e5).fill(255)); await new Promise((r) => setInterval(r, 1e6));", /ended/],
    ["console.error('last words'); Deno.exit(3);", /ended during the request/],
  ];
  for (const [code, message] of table) {
    const { process, log } = await openBadProcess(code);
    await assert.rejects(process.request(toCall("http://example.com/"), never), { code: "egress_failed", message });
    assert.ok(process.dead || code.includes("exit"), code);
    await process.close();
    assert.equal(process.dead, true);
    if (code.includes("last words")) assert.deepEqual(log, ["last words\n"]);
  }
  const { process } = await openBadProcess("await new Promise((r) => setInterval(r, 1e6));", 50);
  const call = toCall("http://example.com/", { timeoutMs: 50 });
  await assert.rejects(process.request(call, never), { code: "egress_timeout", message: /did not answer/ });
  assert.equal(process.dead, true);
  await process.close();
  assert.throws(() => new EgressProcess({ ...planEgress(toPlanInput()), command: "/no/such/deno" }, () => {}), {
    code: "egress_failed",
  });
});

Deno.test("src/sandbox/egress.ts ends with its stdin, and at the first frame that is none of ours", async () => {
  const { command, args, env } = planEgress(toPlanInput());
  for (const [bytes, code] of [[new Uint8Array(), 0], [new Uint8Array(20).fill(255), 1]] as const) {
    const child = new Deno.Command(command, {
      args: [...args],
      env: { ...env },
      clearEnv: true,
      stdin: "piped",
      stdout: "null",
    })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(bytes);
    await writer.close().catch(() => {});
    assert.equal((await child.status).code, code);
  }
});
