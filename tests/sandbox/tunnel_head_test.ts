import assert from "node:assert/strict";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ProxyRefusal, toBytes, toProxyRequest, toRefusal, toRefusalBytes } from "#/sandbox/tunnel_head.ts";

const read = (...lines: string[]) => toProxyRequest(toBytes(lines));
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

/** The status that a head is refused with. */
function statusOf(...lines: string[]): number {
  try {
    read(...lines);
  } catch (error) {
    return toRefusal(error).status;
  }
  return 200;
}

Deno.test("toProxyRequest() reads CONNECT with the host as the URL parser writes it", () => {
  for (
    const [uri, host, port] of [
      ["Example.COM:443", "example.com", 443],
      ["example.com.:80", "example.com", 80],
      ["[2606:4700::1]:8443", "2606:4700::1", 8443],
      ["0x7f000001:80", "127.0.0.1", 80],
    ] as const
  ) {
    const { kind, target, bodyBytes, toHead } = read(`CONNECT ${uri} HTTP/1.1`, "Host: other:1");
    assert.deepEqual([kind, target.host, target.port, bodyBytes, toHead("/", []).length], [
      "connect",
      host,
      port,
      0,
      0,
    ]);
  }
});

Deno.test("toProxyRequest() writes an absolute-form request anew: the target's Host, no header of this hop, closed after it", () => {
  const { kind, target, bodyBytes, toHead } = read(
    "POST http://example.com:8080/a?b=c#d HTTP/1.1",
    "Host: inside.local",
    "hOsT: two",
    "Connection: close, x-drop , Content-Length",
    "X-Drop: 1",
    "Proxy-Authorization: Basic x",
    "Proxy-Connection: keep-alive",
    "Keep-Alive: 5",
    "Upgrade: h2c",
    "TE: trailers",
    "Oxydra-Tunnel: 7",
    "Content-Length: 5",
    "X-Kept:\t a b \t",
  );
  assert.deepEqual([kind, target.key, bodyBytes], ["forward", "example.com:8080", 5]);
  assert.equal(
    text(toHead("/a?b=c", ["X-More: 1"])),
    "POST /a?b=c HTTP/1.1\r\nHost: example.com:8080\r\nContent-Length: 5\r\nX-More: 1\r\nConnection: close\r\nX-Kept: a b\r\n\r\n",
  );
});

Deno.test("toProxyRequest() names a tunnel only where one is a number", () => {
  assert.equal(read("CONNECT a:1 HTTP/1.1", "Oxydra-Tunnel: 63").tunnel, 63);
  for (const value of ["-1", "1e3", "", "0001", "x"]) {
    assert.equal(read("CONNECT a:1 HTTP/1.1", `Oxydra-Tunnel: ${value}`).tunnel, undefined, value);
  }
});

Deno.test("toProxyRequest() refuses what two readers could read differently, and what is no target", () => {
  const cases: Record<number, readonly (readonly string[])[]> = {
    400: [
      [""],
      ["GET / HTTP/1.1"],
      ["GET https://a/ HTTP/1.1"],
      ["get http://a/ HTTP/1.1"],
      ["GET  http://a/ HTTP/1.1"],
      ["GET http://a/ HTTP/1.1 "],
      ["GET http://a/ HTTP/2.0"],
      ["GET http://a/\tHTTP/1.1"],
      ["CONNECT a HTTP/1.1"],
      ["CONNECT a:0 HTTP/1.1"],
      ["CONNECT a:65536 HTTP/1.1"],
      ["CONNECT a:1/x HTTP/1.1"],
      ["CONNECT u@a:1 HTTP/1.1"],
      ["CONNECT u:p@a:1 HTTP/1.1"],
      ["CONNECT a:1?b HTTP/1.1"],
      ["CONNECT a:1#b HTTP/1.1"],
      ["CONNECT http://a:1 HTTP/1.1"],
      ["CONNECT a\\b:1 HTTP/1.1"],
      ["GET http://a/ HTTP/1.1", "A : b"],
      ["GET http://a/ HTTP/1.1", " folded: b"],
      ["GET http://a/ HTTP/1.1", "A: b\nHost: c"],
      ["GET http://a/ HTTP/1.1", "A: b\0"],
      ["GET http://a/ HTTP/1.1", "no colon"],
      ["POST http://a/ HTTP/1.1", "Content-Length: 5", "Content-Length: 5"],
      ["POST http://a/ HTTP/1.1", "Content-Length: 5, 5"],
      ["POST http://a/ HTTP/1.1", "Content-Length: +5"],
      ["POST http://a/ HTTP/1.1", "Content-Length: 0x5"],
    ],
    403: [["GET http://u:p@a/ HTTP/1.1"], ["GET http://a..b/ HTTP/1.1"], ["CONNECT a$b:1 HTTP/1.1"]],
    411: [
      ["POST http://a/ HTTP/1.1", "Transfer-Encoding: chunked"],
      ["POST http://a/ HTTP/1.1", "Content-Length: 5", "transfer-encoding: x"],
    ],
    431: [["GET http://a/ HTTP/1.1", ...Array(LIMITS.tunnelHeadersMax + 1).fill("A: b")]],
  };
  for (const [status, heads] of Object.entries(cases)) {
    for (const lines of heads) assert.equal(statusOf(...lines), Number(status), JSON.stringify(lines.slice(0, 3)));
  }
  assert.equal(statusOf("GET http://a/ HTTP/1.1", ...Array(LIMITS.tunnelHeadersMax).fill("A: b")), 200);
});

Deno.test("toRefusal() maps our codes, and tells nothing of what is no word of ours", () => {
  const status = (code: ErrorCode) => toRefusal(new AppError(code, "why")).status;
  assert.deepEqual(
    [status("egress_denied"), status("queue_full"), status("egress_timeout"), status("egress_failed")],
    [403, 503, 504, 502],
  );
  assert.equal(toRefusal(new Error("connect 10.0.0.1:80")).message, "The connection failed");
});

Deno.test("toRefusalBytes() has the reason in its first line, printable and short", () => {
  const answer = text(toRefusalBytes(new ProxyRefusal(403, `a\r\nX: y${"é".repeat(400)}`)));
  assert.match(
    answer,
    /^HTTP\/1\.1 403 a\?\?X: y\?+\r\nContent-Type: text\/plain\r\nContent-Length: 161\r\nConnection: close\r\n\r\n/,
  );
});
