import assert from "node:assert/strict";
import {
  BehaviorConfig,
  GuestImages,
  McpConfig,
  McpServer,
  MountsConfig,
  ResourcesConfig,
  Tier,
  UserId,
  UserRegistration,
} from "#/sandbox/config.ts";

Deno.test("McpServer needs what its transport needs and nothing of the other", () => {
  const ok = (server: object) => McpServer.safeParse({ name: "a", ...server }).success;
  assert.ok(ok({ transport: "stdio", command: "x" }));
  assert.ok(ok({ transport: "http", url: "http://localhost:8080" }));
  for (
    const bad of [
      { transport: "stdio" },
      { transport: "http" },
      { transport: "stdio", command: "x", url: "http://x" },
      { transport: "http", url: "http://x", command: "x" },
      { transport: "sse", url: "http://x" },
      { transport: "stdio", command: "x", safety_tier: "none" },
    ]
  ) assert.ok(!ok(bad), JSON.stringify(bad));
});

Deno.test("McpServer is privileged unless it says less, in either spelling", () => {
  const tier = (safety_tier?: string) =>
    McpServer.parse({ name: "a", transport: "stdio", command: "x", ...(safety_tier ? { safety_tier } : {}) })
      .safety_tier;
  assert.equal(tier(), "privileged");
  assert.equal(tier("SideEffecting"), "side_effecting");
  assert.equal(tier("read_only"), "read_only");
});

Deno.test("McpConfig refuses two servers of one name", () => {
  const server = { name: "a", transport: "stdio", command: "x" };
  assert.ok(!McpConfig.safeParse({ servers: [server, server] }).success);
  assert.ok(McpConfig.safeParse({ servers: [server, { ...server, name: "b" }] }).success);
});

Deno.test("UserId is a safe folder name", () => {
  for (const good of ["alice", "0", "a-b_c", "a".repeat(32)]) assert.ok(UserId.safeParse(good).success, good);
  for (const bad of ["", "Alice", "..", "a/b", "-a", "_a", "a".repeat(33), "a\n"]) {
    assert.ok(!UserId.safeParse(bad).success, bad);
  }
});

Deno.test("runner schemas bound what they hold", () => {
  assert.deepEqual(Tier.options, ["process", "container", "micro_vm"]);
  assert.equal(BehaviorConfig.parse({}).timezone, "UTC");
  assert.equal(GuestImages.parse({}).shell_vm, "shell-vm:latest");
  assert.ok(!ResourcesConfig.safeParse({ max_vcpus: 0 }).success);
  assert.ok(!MountsConfig.safeParse({ shared: " " }).success);
  assert.ok(!MountsConfig.safeParse({ internal: "/x" }).success);
  assert.ok(!UserRegistration.safeParse({}).success);
});
