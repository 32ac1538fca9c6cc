import assert from "node:assert/strict";
import { GatewayConfig, toSocketAddress, WebConfig } from "#/gateway/config.ts";

Deno.test("GatewayConfig and WebConfig have the reference's defaults", () => {
  assert.deepEqual(GatewayConfig.parse({}), {
    max_sessions_per_user: 50,
    max_concurrent_turns_per_user: 10,
    session_idle_ttl_hours: 48,
    bind: "127.0.0.1:0",
    public_hosts: [],
    trusted_proxy: false,
    plain_text_to_the_network: false,
  });
  assert.equal(WebConfig.parse({}).bind, "127.0.0.1:9400");
  assert.ok(!GatewayConfig.safeParse({ max_sessions_per_user: 0 }).success);
  for (const bind of ["localhost:1", "127.0.0.1", ""]) assert.ok(!GatewayConfig.safeParse({ bind }).success);
  for (const host of ["oxydra.test", "oxydra.test:8443", "192.168.1.2:1", "[fd00::2]:9000"]) {
    assert.ok(GatewayConfig.safeParse({ public_hosts: [host] }).success, host);
  }
  for (const host of ["", "https://a", "a/b", "*.a", "a b", "a:"]) {
    assert.ok(!GatewayConfig.safeParse({ public_hosts: [host] }).success, host);
  }
});

Deno.test("toSocketAddress() knows loopback from the rest and refuses names", () => {
  const cases: [string, boolean | undefined][] = [
    ["127.0.0.1:9400", true],
    ["127.9.9.9:1", true],
    ["[::1]:9400", true],
    ["0.0.0.0:9400", false],
    ["[::]:9400", false],
    ["[::ffff:127.0.0.1]:1", false],
    ["192.168.1.2:65535", false],
    ["127.0.0.1:65536", undefined],
    ["127.0.0.1", undefined],
    ["localhost:9400", undefined],
    ["127.0.0.01:1", undefined],
    ["256.0.0.1:1", undefined],
    ["127.1:1", undefined],
    ["::1:9400", undefined],
    ["", undefined],
  ];
  for (const [text, loopback] of cases) assert.equal(toSocketAddress(text)?.loopback, loopback, text);
});
