/** Server-side request forgery: a model or a page names a URL, and what answers must be outside. */
import assert from "node:assert/strict";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { DENIED_NET } from "#/sandbox/egress_address.ts";
import { runExchange } from "#/sandbox/egress_exchange.ts";
import { planEgress } from "#/sandbox/egress_plan.ts";
import { EgressProcess } from "#/sandbox/egress_process.ts";
import { ScratchCopy } from "../fixture/scratch_copy.ts";
import {
  never,
  openRawServer,
  openRealEgress,
  type RawServer,
  readCertificate,
  toAnswer,
  toCall,
  toNet,
  toPlanInput,
  toRequest,
} from "../sandbox/egress_kit.ts";

/** Every range, each in the spellings that a parser might take for something else. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "loopback":
    "127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.254 2130706433 017700000001 0x7f000001 0x7f.1 0177.0.0.1 0x7F.0X0.0.0x1 " +
    "127.0.0.0x1 00000177.0.0.1 １２７.０.０.１ 127。0。0。1 127．0．0．1 ①②⑦.0.0.1 %31%32%37.0.0.1 127%2e0%2e0%2e1 127.0.0.1%2e " +
    "[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0.0.0.1]",
  "this network": "0 0.0.0.0 0.0.0.0. 0x0 00 0.1.2.3 [::] [0::0]",
  "private":
    "10.0.0.1 167772161 0xa000001 012.0.0.1 10.1 172.16.0.1 172.31.255.255 0xac100001 192.168.0.1 192.168.1 0xc0a80001 " +
    "0300.0250.0.1 １９２.168.0.1 [fc00::1] [fd12:3456::1] [FD00::1]",
  "carrier": "100.64.0.1 100.127.255.255 0x64400001 1681915905",
  "link-local and metadata":
    "169.254.169.254 169.254.169.254. 2852039166 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 169.254.43518 " +
    "[fe80::1] [FE80::a9fe:a9fe] [fd00:ec2::254] [fd20:ce::254] 100.100.100.200 168.63.129.16 192.0.0.192",
  "benchmark, reserved, multicast, documentation":
    "192.0.0.1 198.18.0.1 198.19.255.255 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 " +
    "0xffffffff 4294967295 192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 [fec0::1] [ff02::1] [100::1] [2001:db8::1] [3fff::1] [5f00::1]",
  "IPv4 inside IPv6":
    "[::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:169.254.169.254] [0:0:0:0:0:ffff:10.0.0.1] [::ffff:8.8.8.8] [::127.0.0.1] " +
    "[::7f00:1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::8.8.8.8] [64:ff9b:1::1] [2002:7f00:1::] " +
    "[2002:a9fe:a9fe::1] [2001:0:7f00:1::1] [2001:0::1]",
};

/** What no parser may take at all, or for another host than it seems. */
const UNREADABLE =
  "http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[::1%25lo]/ http://127.0.0.1%00.example.com/ http://a%2fb/ http://[::1]x/ " +
  "http://user@127.0.0.1/ http://example.com@127.0.0.1/ http://127.0.0.1:80@example.com/ http://example.com:80:80/ http://256.0.0.1/ " +
  "http://1.2.3.4.5/ http://0x100000000/ http://127.0.0.1:0x50/ http://127.0.0.1:-1/ http://exa$mple.com/ http://a..b/ http://xn--a/ " +
  "ftp://127.0.0.1/ file:///etc/passwd gopher://127.0.0.1/ data:,x jar:http://a!/ view-source:http://a/ //127.0.0.1/ http:";

Deno.test("ssrf: every range in every spelling is refused before a socket is opened", async () => {
  const net = toNet([], 1);
  const refuse = async (url: string) => {
    const asked = runExchange(toCall(url), { net, idleMs: 1_000 }, never);
    await assert.rejects(asked, (error: Error & { code?: string }) => {
      assert.equal(error.code, "egress_denied", `${url}: ${error.message}`);
      return true;
    });
  };
  let count = 0;
  for (const hosts of Object.values(SPELLINGS)) {
    for (const host of hosts.split(" ")) {
      for (const url of [`http://${host}/`, `HTTPS://${host}:443/x`, `http:\\\\${host}/`, ` http:/${host}/ `]) {
        await refuse(url);
        count++;
      }
    }
  }
  for (const url of UNREADABLE.split(" ")) await refuse(url);
  assert.deepEqual([net.resolved, net.dialled], [[], []]);
  assert.ok(count > 400, `${count} spellings`);
});

Deno.test("ssrf: a name with one address inside is refused whole, without saying which", async () => {
  const good = "93.184.216.34";
  const bad = [
    "127.0.0.1",
    "10.1.2.3",
    "169.254.169.254",
    "::1",
    "fd00::1",
    "fe80::1%eth0",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "x",
  ];
  for (const address of bad) {
    for (const answer of [[address], [good, address], [address, good], [good, good, address]]) {
      const net = toNet([answer], 1);
      const asked = runExchange(toCall("http://rebind.example/"), { net, idleMs: 1_000 }, never);
      const message = "rebind.example resolves to an address that is not public";
      await assert.rejects(asked, { code: "egress_denied", message });
      assert.deepEqual(net.dialled, []);
    }
  }
});

Deno.test("ssrf: a name that changes between check and connect is asked once, and the checked address is dialled", async () => {
  await using server = openRawServer((write) => write(toAnswer("outside")));
  const net = toNet([["93.184.216.34"], ["127.0.0.1"]], server.port);
  const { content } = await runExchange(toCall("http://rebind.example/"), { net, idleMs: 10_000 }, never);
  assert.equal(new TextDecoder().decode(content), "outside");
  assert.deepEqual([net.resolved, net.dialled], [["rebind.example"], ["93.184.216.34 80"]]);
});

Deno.test("ssrf: a real process refuses names of this machine, and ports and methods that are not HTTP's", async () => {
  await using server = openRawServer((write) => write(toAnswer("inside")));
  await using egress = openRealEgress();
  for (
    const host of [
      "localhost",
      "LOCALHOST.",
      "ｌocalhost",
      "127.0.0.1",
      "[::1]",
      "0.0.0.0",
      "[::]",
      "[::ffff:127.0.0.1]",
    ]
  ) {
    const asked = egress.request(toRequest(`http://${host}:${server.port}/`), never);
    await assert.rejects(asked, { code: "egress_denied", message: /not public/ }, host);
  }
  for (const port of [22, 25, 6667]) {
    await assert.rejects(egress.request(toRequest(`http://93.184.216.34:${port}/`), never), { code: "egress_denied" });
  }
  for (const method of ["CONNECT", "TRACE", "TRACK", "get", "GET / HTTP/1.1\r\nX:"]) {
    const asked = egress.request({ ...toRequest("http://93.184.216.34/"), method } as never, never);
    await assert.rejects(asked, { code: "egress_denied", message: /malformed/ }, method);
  }
  assert.deepEqual([server.heads, egress.log], [[], []]);
});

Deno.test("ssrf: with the address check switched off, --deny-net stops IPv4 all the same", async () => {
  using scratch = new ScratchCopy(["src", "deno.json", "deno.lock"]);
  const check = "export function toAddressKind(address: string): AddressKind {";
  scratch.replace("src/sandbox/egress_address.ts", check, `${check}\n  if (1 < 2) return "public";`);
  await using server = openRawServer((write) => write(toAnswer("inside")));
  const plan = toPlanInput(scratch.srcUrl);
  const hosts = [
    "127.0.0.1",
    "localhost",
    "0.0.0.0",
    "10.0.0.1",
    "169.254.169.254",
    "[::ffff:127.0.0.1]",
    "[::1]",
    "[::]",
  ];
  {
    // Our own side of the link still reads the URL; the check that is off is the one in the process.
    await using egress = openRealEgress({ plan });
    for (const host of hosts) {
      const asked = egress.request(toRequest(`http://${host}:${server.port}/`, { timeoutMs: 5_000 }), never);
      await assert.rejects(asked, { code: "egress_denied", message: /may not be reached/ }, host);
    }
  }
  assert.deepEqual(server.heads, []);
  // The same copy without the flag does reach it: what stopped it above is the flag.
  const planned = planEgress(plan);
  const args = planned.args.filter((arg) => !arg.startsWith("--deny-net"));
  assert.equal(args.length, planned.args.length - 1);
  const process = new EgressProcess({ ...planned, args }, () => {});
  const { head } = await process.request(toCall(`http://127.0.0.1:${server.port}/`), never);
  assert.equal(head.status, 200);
  await process.close();
  assert.ok(DENIED_NET.length > 15);
});

Deno.test("ssrf: a header cannot begin another header, another request or another host", async () => {
  await using server = openRawServer((write) => write(toAnswer("x")));
  const send = (name: string, value: string) => {
    const net = toNet([["93.184.216.34"]], server.port);
    return runExchange(toCall("http://example.com/", { headers: [[name, value]] }), { net, idleMs: 1_000 }, never);
  };
  const values = [
    "a\r\nHost: inside",
    "a\nX: y",
    "a\rX: y",
    "a\0b",
    "\r\n\r\nGET /inside HTTP/1.1",
    "a\u010ab",
    "a\u{1f600}",
    "\x7f",
  ];
  for (const value of values) {
    await assert.rejects(send("X-A", value), { code: "egress_denied" }, JSON.stringify(value));
  }
  const names =
    "Host HOST Content-Length Transfer-Encoding transfer-encoding Connection Keep-Alive Proxy-Authorization Proxy-Connection " +
    "proxy-x Upgrade TE Trailer Expect Accept-Encoding HTTP2-Settings";
  for (const name of [...names.split(" "), "", "a b", "a:b", "a\r\nb", "Host ", " Host", "ä"]) {
    await assert.rejects(send(name, "x"), { code: "egress_denied" }, JSON.stringify(name));
  }
  assert.deepEqual(server.heads, []);
  await send("X-A", "a\tb \xe9");
  // The path cannot either: the parser has escaped it.
  const net = toNet([["93.184.216.34"]], server.port);
  await runExchange(toCall("http://example.com/a b\r\nHost:%0d%0ax?é"), { net, idleMs: 1_000 }, never);
  assert.match(server.heads[1]!, /^GET \/a%20bHost:%0d%0ax\?%C3%A9 HTTP\/1\.1\r\nHost: example\.com\r\n/);
});

/** What a server says that means harm, and what comes of it; the process must live on. */
type Harm = readonly [
  what: string,
  answer: (write: (bytes: string | Uint8Array) => Promise<void>) => Promise<void>,
  expected: RegExp | "truncated",
];

const OK = "HTTP/1.1 200 OK\r\n";
const forEver = async (
  write: (bytes: string | Uint8Array) => Promise<void>,
  start: string,
  again: string | Uint8Array,
) => {
  await write(start);
  for (;;) await write(again);
};

const HARMS: readonly Harm[] = [
  ["one huge header", (write) => forEver(write, `${OK}X: `, "a".repeat(65_536)), /headers over 65536 bytes/],
  ["a flood of headers", (write) => forEver(write, OK, "a: b\r\n".repeat(1_000)), /headers over 65536 bytes/],
  [
    "endless trailers",
    (write) => forEver(write, `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`, "a: b\r\n".repeat(1_000)),
    /HPE_|headers over|broke the connection/,
  ],
  [
    "an endless chunk extension",
    (write) => forEver(write, `${OK}Transfer-Encoding: chunked\r\n\r\n3;`, "a".repeat(65_536)),
    /far more/,
  ],
  ["a body that never ends", (write) => forEver(write, `${OK}\r\n`, "a".repeat(65_536)), "truncated"],
  [
    "100 Continue for ever",
    (write) => forEver(write, "", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
    /interim answers/,
  ],
  [
    "103 Early Hints for ever",
    (write) => forEver(write, "", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(50)),
    /interim answers/,
  ],
  [
    "101 without being asked",
    (write) => write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"),
    /protocol/,
  ],
  ["HTTP/0.9", (write) => write("<html>hello</html>"), /HPE_/],
  ["SSH", (write) => write("SSH-2.0-OpenSSH_9.0\r\n"), /HPE_/],
  ["two lengths", (write) => write(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`), /HPE_/],
  [
    "length and chunks",
    (write) => write(`${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    /HPE_/,
  ],
  ["a negative length", (write) => write(`${OK}Content-Length: -1\r\n\r\n`), /HPE_/],
  ["a length over all numbers", (write) => write(`${OK}Content-Length: 99999999999999999999\r\n\r\n`), /HPE_/],
  ["NUL in a header", (write) => write(`${OK}X: a\0b\r\n\r\n`), /HPE_/],
  ["a folded header", (write) => write(`${OK}X: a\r\n b\r\n\r\n`), /HPE_/],
  ["bare LF", (write) => write("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), /HPE_/],
  [
    "an encoding in an encoding",
    (write) => write(toAnswer(gzipSync(gzipSync("x")), "Content-Encoding: gzip, gzip\r\n")),
    /not asked for/,
  ],
  [
    "encodings in two headers",
    (write) => write(toAnswer(gzipSync("x"), "Content-Encoding: gzip\r\nContent-Encoding: br\r\n")),
    /not asked for/,
  ],
  [
    "a corrupt gzip",
    (write) => write(toAnswer(gzipSync("x".repeat(100)).fill(0, 12, 16), "Content-Encoding: gzip\r\n")),
    /decompressed/,
  ],
  ["nothing", () => Promise.resolve(), /broke the connection|closed/],
  ["a short body", (write) => write(`${OK}Content-Length: 10\r\n\r\nabc`), /broke the connection|closed/],
];

/** Serves the harms by number. */
function openHarmfulServer(harms: readonly Harm[]): RawServer {
  return openRawServer((write, head) => harms[Number(/^GET \/(\d+)/.exec(head)![1])]![1](write));
}

Deno.test("ssrf: a hostile server gets an error or a cut, and one process outlives all of them", async () => {
  await using server = openHarmfulServer(HARMS);
  const origin = `127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [origin] });
  for (const [index, [what, , expected]] of HARMS.entries()) {
    const asked = egress.request(toRequest(`http://${origin}/${index}`), never);
    if (expected === "truncated") {
      const { head, content } = await asked;
      assert.deepEqual([head.truncated, content.length], [true, 1_000_000], what);
    } else {
      await assert.rejects(asked, (error: Error & { code?: string }) => {
        assert.equal(error.code, "egress_failed", `${what}: ${error.message}`);
        assert.match(error.message, expected, what);
        return true;
      });
    }
    assert.equal(egress.pids.length, 1, what);
  }
  assert.deepEqual([new Set(egress.pids).size, egress.log], [1, []]);
});

Deno.test("ssrf: a server that drips ends at the request's time, in the head and in the body", async () => {
  await using server = openRawServer(async (write, head, conn) => {
    await write(head.startsWith("GET /head") ? "HTTP/1.1 200 OK\r\nX: " : `${OK}Content-Length: 1000\r\n\r\n`);
    for (;;) {
      await write("a");
      // Yields to the client; the pace is the machine's, the length is for ever.
      await Promise.race([conn.read(new Uint8Array(1)), new Promise((done) => setTimeout(done, 5))]);
    }
  });
  const origin = `127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [origin] });
  const pids = new Set<number>();
  for (const path of ["body", "head"]) {
    const asked = egress.request(toRequest(`http://${origin}/${path}`, { timeoutMs: 300 }), never);
    await assert.rejects(asked, { code: "egress_timeout" }, path);
    pids.add(egress.pids[0]!);
  }
  assert.equal(pids.size, 1, "it ended the exchange itself, and was not killed for being late");
});

function residentMb(pid: number, field: "VmRSS" | "VmHWM"): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1_024;
}

Deno.test("ssrf: a zip bomb stops at downBytesMax and costs its process little memory", async () => {
  // 4 GiB of zeros as gzip in 4 MB, 256 MiB as brotli in a few hundred bytes.
  const bombs: Readonly<Record<string, Uint8Array>> = {
    gzip: concatBytes(Array(256).fill(gzipSync(new Uint8Array(16_777_216)))),
    br: brotliCompressSync(new Uint8Array(268_435_456), { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } }),
  };
  await using server = openRawServer((write, head) => {
    const kind = /^GET \/(\w+)/.exec(head)![1]!;
    return write(toAnswer(bombs[kind]!, `Content-Encoding: ${kind}\r\n`));
  });
  const origin = `127.0.0.1:${server.port}`;
  await using egress = openRealEgress({ allowlist: [origin] });
  for (const kind of Object.keys(bombs)) {
    const asked = toRequest(`http://${origin}/${kind}`, { downBytesMax: LIMITS.egressDownBytesMax });
    const { head, content } = await egress.request(asked, never);
    assert.deepEqual([head.truncated, content.length], [true, LIMITS.egressDownBytesMax], kind);
    assert.ok(residentMb(egress.pids[0]!, "VmHWM") < 200, `${kind}: ${residentMb(egress.pids[0]!, "VmHWM")} MB`);
  }
});

Deno.test("ssrf: TLS is verified against the name that was asked for, also at a listed host", async () => {
  const serve = (name: "localhost" | "other") =>
    Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, ...readCertificate(name) },
      () => new Response("secure"),
    );
  await using good = serve("localhost");
  await using wrong = serve("other");
  await using plain = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("plain"));
  const ports = [good.addr.port, wrong.addr.port, plain.addr.port];
  const allowlist = ports.flatMap((port) => [`localhost:${port}`, `127.0.0.1:${port}`]);
  const get = (egress: ReturnType<typeof openRealEgress>, host: string, port: number) =>
    egress.request(toRequest(`https://${host}:${port}/`), never);
  {
    await using egress = openRealEgress({ allowlist });
    for (const host of ["localhost", "127.0.0.1"]) {
      assert.equal(new TextDecoder().decode((await get(egress, host, good.addr.port)).content), "secure");
      const failed = get(egress, host, wrong.addr.port);
      await assert.rejects(failed, { code: "egress_failed", message: /certificate for another name/ }, host);
      await assert.rejects(get(egress, host, plain.addr.port), { code: "egress_failed", message: /TLS/ }, host);
    }
    assert.deepEqual(egress.log, []);
  }
  const { DENO_CERT: _, ...env } = toPlanInput().env;
  await using strangers = openRealEgress({ allowlist, plan: { ...toPlanInput(), env } });
  await assert.rejects(get(strangers, "localhost", good.addr.port), { code: "egress_failed", message: /TLS/ });
});
