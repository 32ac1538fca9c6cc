import assert from "node:assert/strict";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { LIMITS } from "#/core/limits.ts";
import type { EgressCall } from "#/sandbox/egress_frames.ts";
import { runExchange } from "#/sandbox/egress_exchange.ts";
import { never, openRawServer, toAnswer, toCall, toNet } from "./egress_kit.ts";

const PUBLIC = "93.184.216.34";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** One exchange with a server that answers with these bytes, over the public route. */
async function exchange(answer: string | Uint8Array, change: Partial<EgressCall> = {}) {
  await using server = openRawServer((write) => write(answer));
  const net = toNet([[PUBLIC]], server.port);
  const { body, content } = await runExchange(
    toCall("http://example.com/a?b=c", change),
    { net, idleMs: 10_000 },
    never,
  );
  return { head: body, content, sent: server.heads[0]!, net };
}

Deno.test("runExchange() sends what was asked and nothing of its own but host, encoding and connection", async () => {
  const { head, content, sent, net } = await exchange(toAnswer("hi", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), {
    headers: [["X-A", "1"], ["X-A", "2"]],
  });
  assert.equal(
    sent,
    "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept-Encoding: gzip, br\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
  );
  assert.deepEqual([net.resolved, net.dialled], [["example.com"], [`${PUBLIC} 80`]]);
  assert.deepEqual(head, {
    status: 200,
    headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]],
    address: "127.0.0.1",
    wireBytes: 74,
    bodyBytes: 2,
    truncated: false,
  });
  assert.equal(text(content), "hi");
});

Deno.test("runExchange() sends a body with its length, and refuses one where none belongs", async () => {
  const body = new TextEncoder().encode("a=1&b=2").toBase64();
  const { sent } = await exchange(toAnswer(""), { method: "POST", body });
  assert.match(sent, /^POST [^]*\r\nContent-Length: 7\r\n\r\na=1&b=2$/);
  assert.match((await exchange(toAnswer(""), { method: "DELETE" })).sent, /\r\nContent-Length: 0\r\n/);
  const refused = { code: "egress_denied" };
  await assert.rejects(exchange(toAnswer(""), { method: "GET", body }), refused);
  await assert.rejects(exchange(toAnswer(""), { method: "POST", body: "A" }), refused);
  const large = new Uint8Array(LIMITS.egressUpBytesMax + 1).toBase64();
  await assert.rejects(exchange(toAnswer(""), { method: "POST", body: large }), refused);
  await exchange(toAnswer(""), { method: "POST", body: new Uint8Array(LIMITS.egressUpBytesMax).toBase64() });
});

Deno.test("runExchange() gives a redirect back and does not follow it", async () => {
  const { head, net } = await exchange(toAnswer("", "Location: http://127.0.0.1/\r\n", "302 Found"));
  assert.deepEqual([head.status, head.headers, net.dialled.length], [302, [["location", "http://127.0.0.1/"]], 1]);
});

Deno.test("runExchange() inflates gzip, deflate and br, and hides the wire's headers", async () => {
  const plain = "words ".repeat(1_000);
  const table: [string, Uint8Array][] = [
    ["gzip", gzipSync(plain)],
    ["X-GZIP", gzipSync(plain)],
    ["deflate", deflateSync(plain)],
    ["br", brotliCompressSync(plain)],
    ["identity", new TextEncoder().encode(plain)],
  ];
  for (const [encoding, bytes] of table) {
    const { head, content } = await exchange(toAnswer(bytes, `Content-Encoding: ${encoding}\r\nX: y\r\n`));
    assert.equal(text(content), plain, encoding);
    assert.deepEqual([head.headers, head.bodyBytes], [[["x", "y"]], plain.length], encoding);
  }
  const { content } = await exchange(toAnswer("", "Content-Encoding: gzip\r\n"));
  assert.equal(content.length, 0);
  const head = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 99\r\n\r\n";
  assert.equal((await exchange(head, { method: "HEAD" })).content.length, 0);
});

Deno.test("runExchange() cuts a body at downBytesMax, counted after inflating, and says so", async () => {
  const plain = "x".repeat(100_000);
  for (
    const [bytes, headers] of [[new TextEncoder().encode(plain), ""], [
      gzipSync(plain),
      "Content-Encoding: gzip\r\n",
    ]] as const
  ) {
    for (const [downBytesMax, truncated] of [[99_999, true], [100_000, false], [100_001, false], [0, true]] as const) {
      const { head, content } = await exchange(toAnswer(bytes, headers), { downBytesMax });
      assert.deepEqual([head.truncated, content.length], [truncated, Math.min(downBytesMax, 100_000)]);
    }
  }
});

Deno.test("runExchange() tells what failed without an address that the name resolved to", async () => {
  const table: [string | Uint8Array, RegExp][] = [
    ["", /broke the connection \(ECONNRESET\)$|closed the connection/],
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi", /broke the connection/],
    ["HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", /the status 0$/],
    [toAnswer("no gzip", "Content-Encoding: gzip\r\n"), /cannot be decompressed$/],
    [toAnswer(gzipSync("x".repeat(5_000)).subarray(0, 20), "Content-Encoding: gzip\r\n"), /cannot be decompressed$/],
    [toAnswer("no br", "Content-Encoding: br\r\n"), /cannot be decompressed$/],
    [toAnswer("x", "Content-Encoding: zstd\r\n"), /"zstd" was not asked for$/],
  ];
  for (const [answer, message] of table) {
    await assert.rejects(exchange(answer), (error: Error & { code: string }) => {
      assert.equal(error.code, "egress_failed");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\d+\.\d+\.\d+\.\d+/);
      return true;
    });
  }
});

Deno.test("runExchange() takes a head and interim answers up to their bounds, and none beyond", async () => {
  const padded = (bytes: number) => toAnswer("x", `X: ${"a".repeat(bytes)}\r\n`);
  assert.equal((await exchange(padded(LIMITS.egressHeadBytesMax - 100))).content.length, 1);
  const message = /headers over 65536 bytes/;
  await assert.rejects(exchange(padded(LIMITS.egressHeadBytesMax)), { code: "egress_failed", message });
  const interim = (count: number) =>
    `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count)}HTTP/1.1 204 No Content\r\n\r\n`;
  assert.equal((await exchange(interim(LIMITS.egressInterimMax))).head.status, 204);
  await assert.rejects(exchange(interim(LIMITS.egressInterimMax + 1)), { code: "egress_failed", message: /interim/ });
});

Deno.test("runExchange() ends at its time, at silence, and at once when it is cancelled", async () => {
  const arrived = Promise.withResolvers<void>();
  await using server = openRawServer(async (_, __, conn) => {
    arrived.resolve();
    await conn.read(new Uint8Array(1));
  });
  const run = (timeoutMs: number, idleMs: number, signal: AbortSignal) =>
    runExchange(toCall("http://example.com/", { timeoutMs }), { net: toNet([[PUBLIC]], server.port), idleMs }, signal);
  await assert.rejects(run(60, 10_000, never), { code: "egress_timeout", message: /within 60 ms/ });
  await assert.rejects(run(10_000, 60, never), { code: "egress_timeout", message: /silent for 60 ms/ });
  const abort = new AbortController();
  const asked = run(10_000, 10_000, abort.signal);
  await arrived.promise;
  abort.abort();
  await assert.rejects(asked, { code: "cancelled" });
  await assert.rejects(run(10_000, 10_000, AbortSignal.abort()), { code: "cancelled" });
});

Deno.test("runExchange() ends a resolver that never answers", async () => {
  const net = { ...toNet([], 1), resolve: () => new Promise<never>(() => {}) };
  const call = toCall("http://example.com/", { timeoutMs: 60 });
  await assert.rejects(runExchange(call, { net, idleMs: 10_000 }, never), { code: "egress_timeout" });
});
