import assert from "node:assert/strict";
import type { Capability } from "#/core/capability.ts";
import {
  describeRule,
  isFor,
  isHostIn,
  PolicyConfig,
  PolicyRule,
  stricter,
  toGrantingLine,
} from "#/sandbox/policy_rule.ts";
import { parse } from "smol-toml";

const asker = { user: "alice", agent: ["default", "researcher"], tool: "web_fetch", isPrivate: false };
const http = (host: string, port = 443, methods: readonly ("GET" | "POST")[] = ["GET"]): Capability => ({
  kind: "http",
  scheme: "https",
  host,
  port,
  methods,
  path: "/",
  scope: "exact",
  bytesUpMax: 0,
  bytesDownMax: 1,
  redirectsMax: 0,
});

Deno.test("isHostIn() compares whole names", () => {
  const table: [string, string, boolean][] = [
    ["example.com", "example.com", true],
    ["a.example.com", "example.com", false],
    ["a.example.com", "*.example.com", true],
    ["a.b.example.com", "*.example.com", true],
    ["example.com", "*.example.com", false],
    ["badexample.com", "*.example.com", false],
    ["example.com.evil.net", "example.com", false],
    ["anything", "*", true],
    ["2001:db8::1", "2001:db8::1", true],
  ];
  for (const [host, pattern, expected] of table) {
    assert.equal(isHostIn(host, [pattern]), expected, `${host} ~ ${pattern}`);
  }
});

Deno.test("isFor() wants every condition of a rule", () => {
  const rule = PolicyRule.parse({
    id: "r",
    kinds: ["http"],
    effect: "allow",
    hosts: ["*.example.com"],
    methods: ["GET"],
    ports: ["443", "8000-8010"],
    tools: ["web_fetch"],
    agents: ["researcher"],
    users: ["alice"],
  });
  assert.ok(isFor(rule, http("a.example.com"), asker));
  assert.ok(isFor(rule, http("a.example.com", 8_005), asker));
  const others: [Capability, typeof asker][] = [
    [http("example.org"), asker],
    [http("a.example.com", 80), asker],
    [http("a.example.com", 443, ["GET", "POST"]), asker],
    [http("a.example.com"), { ...asker, user: "bob" }],
    [http("a.example.com"), { ...asker, tool: "web_search" }],
    [http("a.example.com"), { ...asker, agent: ["default"] }],
  ];
  for (const [need, who] of others) assert.equal(isFor(rule, need, who), false, JSON.stringify([need, who]));
  assert.equal(isFor({ ...rule, when: "private" }, http("a.example.com"), asker), false);
  assert.ok(isFor({ ...rule, when: "private" }, http("a.example.com"), { ...asker, isPrivate: true }));
  // What forbids is for a request as soon as one of its methods is meant.
  assert.ok(isFor({ ...rule, effect: "deny" }, http("a.example.com", 443, ["GET", "POST"]), asker));
});

Deno.test("isFor() judges secrets by name and host, settings by section", () => {
  const secret: Capability = { kind: "secret", name: "key", hosts: ["a.com", "b.com"] };
  const rule = PolicyRule.parse({ id: "r", kinds: ["secret"], effect: "allow", hosts: ["a.com"], names: ["key"] });
  assert.equal(isFor(rule, secret, asker), false, "all hosts of a secret must be allowed");
  assert.ok(isFor(rule, { ...secret, hosts: ["a.com"] }, asker));
  assert.equal(isFor(rule, { ...secret, hosts: ["a.com"], name: "other" }, asker), false);
  assert.ok(isFor({ ...rule, effect: "deny" }, secret, asker), "one forbidden host forbids");
  const config = PolicyRule.parse({ id: "c", kinds: ["config"], effect: "allow", names: ["web_search"] });
  assert.ok(isFor(config, { kind: "config", section: "web_search" }, asker));
  assert.equal(isFor(config, { kind: "config", section: "providers" }, asker), false);
});

Deno.test("PolicyRule wants the fields of its kinds and no others", () => {
  const refused: unknown[] = [
    { id: "r", kinds: ["fs.read"], effect: "allow" },
    { id: "r", kinds: ["fs.read"], effect: "allow", under: "/etc" },
    { id: "r", kinds: ["fs.read"], effect: "allow", under: "/shared", hosts: ["*"] },
    { id: "r", kinds: ["http"], effect: "allow" },
    { id: "r", kinds: ["http"], effect: "allow", hosts: ["Example.com"] },
    { id: "r", kinds: ["http"], effect: "allow", hosts: ["*.*.com"] },
    { id: "r", kinds: ["http"], effect: "allow", hosts: ["a.com/x"] },
    { id: "r", kinds: ["http"], effect: "allow", hosts: ["*"], ports: ["http"] },
    { id: "r", kinds: ["http", "fs.read"], effect: "allow", hosts: ["*"], under: "/shared" },
    { id: "r", kinds: ["http"], effect: "allow", hosts: ["*"], when: "always" },
  ];
  for (const rule of refused) assert.equal(PolicyRule.safeParse(rule).success, false, JSON.stringify(rule));
});

Deno.test("toGrantingLine() is a line of a config file that grants the need", () => {
  const needs: Capability[] = [
    { kind: "fs.read", path: '/vault/a "quoted"', scope: "file", bytesMax: 1 },
    http("example.com", 8_443, ["POST"]),
    { kind: "secret", name: "key", hosts: ["a.com"] },
    { kind: "config", section: "web_search" },
    { kind: "log" },
  ];
  for (const need of needs) {
    const { policy } = parse(toGrantingLine(need)) as { policy: unknown };
    const [rule] = PolicyConfig.parse(policy).rules;
    assert.ok(rule!.effect === "allow" && isFor(rule!, need, asker), toGrantingLine(need));
  }
});

Deno.test("stricter() and describeRule()", () => {
  assert.deepEqual([stricter("owner", "relayed"), stricter("relayed", "relayed")], ["owner", "relayed"]);
  const rule = PolicyRule.parse({
    id: "r",
    kinds: ["http"],
    effect: "ask",
    hosts: ["*"],
    ports: ["1-79"],
    tools: ["t"],
    when: "private",
  });
  assert.equal(describeRule(rule), "http to * port 1-79 by t once the session has seen something private");
});

Deno.test("isFor() opens a connection by host and port, and toGrantingLine() names both", () => {
  const rule: PolicyRule = {
    id: "mine",
    kinds: ["connect"],
    hosts: ["*.example.com"],
    ports: ["443"],
    effect: "allow",
  };
  const asker = { user: "default", agent: ["default"], tool: "shell_exec", isPrivate: false };
  const need = { kind: "connect", host: "a.example.com", port: 443 } as const;
  assert.equal(isFor(rule, need, asker), true);
  assert.equal(isFor(rule, { ...need, port: 80 }, asker), false);
  assert.equal(isFor(rule, { ...need, host: "example.com" }, asker), false);
  assert.equal(
    toGrantingLine(need),
    'policy.rules = [{ id = "mine", kinds = ["connect"], hosts = ["a.example.com"], ports = ["443"], effect = "allow" }]',
  );
});
