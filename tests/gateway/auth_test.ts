import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import {
  addressOf,
  chooseProtocol,
  findCaller,
  isExpectedPeer,
  isOwnHost,
  isOwnOrigin,
  isSameHash,
} from "#/gateway/auth.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { newToken } from "#/lib/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";

function request(headers: Record<string, string> = {}, query = ""): Request {
  return new Request(`http://127.0.0.1:4000/ws${query}`, { headers });
}

/** Owner's tokens of these hashes. */
function owners(...hashes: readonly string[]): GatewayToken[] {
  return hashes.map((sha256, at) => ({ id: `t${at}`, sha256, scope: "owner" }));
}

Deno.test("newToken() is 256 random bits in characters that fit a header, a subprotocol and a URL", () => {
  const tokens = new Set(Array.from({ length: 100 }, newToken));
  assert.equal(tokens.size, 100);
  for (const token of tokens) assert.match(token, /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("findCaller() takes a token three ways and nothing else", async () => {
  const token = newToken();
  const hashes = [await sha256Hex("another"), await sha256Hex(token)];
  const right: Request[] = [
    request({ authorization: `Bearer ${token}` }),
    request({ authorization: `bearer  ${token}` }),
    request({ "sec-websocket-protocol": `oxydra.v2, oxydra.token.${token}` }),
    request({}, `?token=${token}`),
    request({ authorization: "Bearer wrong" }, `?token=${token}`),
  ];
  const tokens = owners(...hashes);
  for (const [at, good] of right.entries()) {
    assert.deepEqual(await findCaller(good, tokens, 0), { id: "t1", scope: "owner" }, `right ${at}`);
  }
  const wrong: Request[] = [
    request(),
    request({ authorization: "Bearer" }),
    request({ authorization: `Basic ${token}` }),
    request({ authorization: token }),
    request({ authorization: `Bearer ${token}x` }),
    request({ authorization: `Bearer ${token.slice(0, -1)}` }),
    request({ authorization: `Bearer ${hashes[1]}` }),
    request({ "sec-websocket-protocol": token }),
    request({ "sec-websocket-protocol": "oxydra.token." }),
    request({}, "?token="),
    request({}, `?Token=${token}`),
  ];
  for (const [at, bad] of wrong.entries()) assert.equal(await findCaller(bad, tokens, 0), undefined, `wrong ${at}`);
  assert.equal(await findCaller(right[0]!, [], 0), undefined, "no hash, no entry");
});

Deno.test("findCaller() says whose token it is, and knows none that has expired", async () => {
  const token = newToken();
  const known: GatewayToken = { id: "phone", sha256: await sha256Hex(token), scope: "channel", expiresAt: 1_000 };
  const asking = request({ authorization: `Bearer ${token}` });
  assert.deepEqual(await findCaller(asking, [known], 999), { id: "phone", scope: "channel" });
  assert.equal(await findCaller(asking, [known], 1_000), undefined);
});

Deno.test("findCaller() refuses a token longer than tokenCharsMax, takes one at the limit", async () => {
  const longest = "a".repeat(LIMITS.tokenCharsMax);
  const tooLong = longest + "a";
  const tokens = owners(await sha256Hex(longest), await sha256Hex(tooLong));
  assert.equal((await findCaller(request({ authorization: `Bearer ${longest}` }), tokens, 0))?.id, "t0");
  assert.equal(await findCaller(request({ authorization: `Bearer ${tooLong}` }), tokens, 0), undefined);
});

Deno.test("isSameHash() sees every difference", () => {
  const hash = "0123456789abcdef".repeat(4);
  assert.equal(isSameHash(hash, hash), true);
  for (let at = 0; at < hash.length; at++) {
    const other = hash.slice(0, at) + (hash[at] === "0" ? "1" : "0") + hash.slice(at + 1);
    assert.equal(isSameHash(hash, other), false, `at ${at}`);
  }
  assert.equal(isSameHash(hash, hash.slice(1)), false);
  assert.equal(isSameHash("", ""), false);
});

Deno.test("chooseProtocol() answers what was offered, and prefers the one without a token", () => {
  const cases: readonly (readonly [string | undefined, string | undefined])[] = [
    [undefined, undefined],
    ["other", undefined],
    ["oxydra.v2", "oxydra.v2"],
    ["oxydra.token.abc", "oxydra.token.abc"],
    ["oxydra.token.abc,oxydra.v2", "oxydra.v2"],
  ];
  for (const [offered, chosen] of cases) {
    assert.equal(chooseProtocol(request(offered === undefined ? {} : { "sec-websocket-protocol": offered })), chosen);
  }
});

Deno.test("isOwnHost() knows two names with the very port", () => {
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    ["127.0.0.1:4000", true],
    ["localhost:4000", true],
    ["LOCALHOST:4000", true],
    ["127.0.0.1:4001", false],
    ["127.0.0.1", false],
    ["evil.example:4000", false],
    ["127.0.0.1:4000.evil.example", false],
    ["localhost.:4000", false],
    ["[::1]:4000", false],
    ["127.0.0.1:4000, evil.example", false],
    ["", false],
    [undefined, false],
  ];
  for (const [host, own] of cases) {
    assert.equal(isOwnHost(request(host === undefined ? {} : { host }), { port: 4000 }), own, String(host));
  }
});

Deno.test("isOwnOrigin() takes no origin or the page of the same host", () => {
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    ["http://127.0.0.1:4000", true],
    ["http://127.0.0.1:4001", false],
    ["http://localhost:4000", false],
    ["https://127.0.0.1:4000", false],
    ["https://evil.example", false],
    ["null", false],
    ["", false],
  ];
  for (const [origin, own] of cases) {
    const headers = { host: "127.0.0.1:4000", ...(origin === undefined ? {} : { origin }) };
    assert.equal(isOwnOrigin(request(headers), { port: 4000 }), own, String(origin));
  }
});

Deno.test("a door takes the names that it was given, with its port or as a browser writes the usual one", () => {
  const door = { port: 8443, hosts: ["Oxydra.test", "10.0.0.5:8443"], isTls: true };
  const cases: readonly (readonly [string, boolean])[] = [
    ["oxydra.test", true],
    ["OXYDRA.TEST:8443", true],
    ["10.0.0.5:8443", true],
    ["10.0.0.5", false],
    ["oxydra.test:9", false],
    ["oxydra.test.evil", false],
    ["127.0.0.1:8443", true],
  ];
  for (const [host, own] of cases) assert.equal(isOwnHost(request({ host }), door), own, host);
  const origin = (origin: string) => isOwnOrigin(request({ host: "oxydra.test", origin }), door);
  assert.ok(origin("https://oxydra.test"));
  assert.ok(!origin("http://oxydra.test"), "what this door serves is encrypted");
});

Deno.test("X-Forwarded headers count behind a proxy and nowhere else", () => {
  const headers = {
    host: "127.0.0.1:80",
    origin: "https://oxydra.test",
    "x-forwarded-host": "oxydra.test",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "6.6.6.6, 198.51.100.7",
  };
  const proxied = { port: 80, hosts: ["oxydra.test"], isProxied: true };
  assert.ok(isOwnHost(request(headers), proxied));
  assert.ok(isOwnOrigin(request(headers), proxied));
  assert.equal(
    addressOf(request(headers), proxied, "127.0.0.1"),
    "198.51.100.7",
    "what the client says of itself is first",
  );
  assert.ok(!isOwnHost(request({ ...headers, "x-forwarded-host": "evil.test" }), proxied));
  assert.ok(!isOwnHost(request({ ...headers, "x-forwarded-host": "oxydra.test, evil.test" }), proxied));
  const direct = { port: 80, hosts: ["oxydra.test"] };
  assert.ok(isOwnHost(request(headers), direct), "by its Host header");
  assert.ok(!isOwnOrigin(request(headers), direct));
  assert.equal(addressOf(request(headers), direct, "127.0.0.1"), "127.0.0.1");
  assert.equal(addressOf(request({}), proxied, "127.0.0.1"), "127.0.0.1");
});

Deno.test("isExpectedPeer() serves the machine that publishes a container's port, and none of its neighbours", () => {
  const published = { port: 4_000, publishedBy: "172.30.0.1" };
  const asked = ["172.30.0.1", "127.0.0.1", "172.30.0.3", "10.0.0.1", "::ffff:172.30.0.1", ""].map((peer) =>
    isExpectedPeer(peer, published)
  );
  assert.deepEqual(asked, [true, true, false, false, false, false]);
  assert.ok(isExpectedPeer("203.0.113.9", { port: 4_000 }), "a door of the machine itself serves whoever reaches it");
});

Deno.test("addressOf() takes what a container's port is published by for this machine", () => {
  const published = { port: 4_000, publishedBy: "172.30.0.1" };
  assert.equal(addressOf(request({}), published, "172.30.0.1"), "127.0.0.1");
  assert.equal(addressOf(request({}), published, "172.30.0.3"), "172.30.0.3");
  const proxied = { ...published, isProxied: true };
  assert.equal(addressOf(request({ "x-forwarded-for": "203.0.113.9" }), proxied, "172.30.0.1"), "203.0.113.9");
});
