import assert from "node:assert/strict";
import type { Capability, Decision, HttpMethod, Principal } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { PolicyRule } from "#/sandbox/policy_rule.ts";

const principal: Principal = { user: "default", agent: ["default"], origin: "channel" };
const tool = { name: "t", package: "p", version: "1", sha256: "0" };
const read = (path: string, scope: "file" | "tree" = "file"): Capability => ({
  kind: "fs.read",
  path,
  scope,
  bytesMax: 50,
});
const write = (path: string, bytesMax = 50): Capability => ({ kind: "fs.write", path, mode: "write", bytesMax });

async function decide(rules: readonly PolicyRule[], ...needs: Capability[]): Promise<Decision> {
  const policy = await openPolicy([rules]);
  return policy.decide({ principal, tool, needs, isPrivate: false, now: 1_000, timeoutMs: 500, grantId: "id" });
}

Deno.test("DEFAULT_POLICY lets agents use /shared and /tmp and keeps the vault", async () => {
  for (const root of ["/shared", "/tmp"]) {
    const list: Capability = { kind: "fs.list", path: root, scope: "tree", entriesMax: 10 };
    const remove: Capability = { kind: "fs.write", path: `${root}/a`, mode: "delete", bytesMax: 0 };
    const needs = [read(`${root}/a`), read(root, "tree"), list, write(`${root}/a`), remove];
    const decision = await decide(DEFAULT_POLICY, ...needs);
    assert.equal(decision.kind, "granted");
    if (decision.kind === "granted") {
      assert.deepEqual(decision.grant, {
        id: "id",
        capabilities: needs,
        source: `default:read ${root}, default:list ${root}, default:write ${root}`,
        expiresAt: 1_500,
      });
    }
  }
  const vault = await decide(DEFAULT_POLICY, read("/shared/a"), read("/vault/a"));
  assert.equal(vault.kind, "ask");
  if (vault.kind === "ask") {
    assert.deepEqual([vault.missing, vault.source], [[read("/vault/a")], "default:vault"]);
    assert.deepEqual([vault.wanted, vault.answer], [[read("/shared/a"), read("/vault/a")], "owner"]);
    assert.equal(vault.reason, "fs.read /vault/a: the vault is private (rule default:vault)");
  }
  const written = await decide(DEFAULT_POLICY, write("/vault/a"));
  assert.match(
    written.kind === "denied" ? written.reason : "",
    /fs\.write \/vault\/a is missing: no rule grants it; .*kinds = \["fs\.write"\], under = "\/vault\/a", effect = "allow"/,
  );
});

Deno.test("DEFAULT_POLICY is a list of valid rules with ids of their own", () => {
  for (const rule of DEFAULT_POLICY) assert.deepEqual(PolicyRule.parse(rule), rule);
  assert.equal(new Set(DEFAULT_POLICY.map((rule) => rule.id)).size, DEFAULT_POLICY.length);
});

Deno.test("openPolicy() denies without rules, and grants nothing to a call that needs nothing", async () => {
  assert.equal((await decide([], read("/shared/a"))).kind, "denied");
  const nothing = await decide([]);
  assert.deepEqual(nothing.kind === "granted" && nothing.grant.capabilities, []);
});

Deno.test("openPolicy() compares whole segments", async () => {
  const rules = [PolicyRule.parse({ id: "r", kinds: ["fs.read"], under: "/shared/a", effect: "allow" })];
  assert.equal((await decide(rules, read("/shared/a/b"))).kind, "granted");
  assert.equal((await decide(rules, read("/shared/a"))).kind, "granted");
  assert.equal((await decide(rules, read("/shared/ab"))).kind, "denied");
  assert.equal((await decide(rules, read("/shared", "tree"))).kind, "denied");
  assert.equal((await decide(rules, write("/shared/a"))).kind, "denied");
  assert.throws(() => PolicyRule.parse({ id: "r", kinds: ["fs.read"], under: "/sharedx", effect: "allow" }));
});

Deno.test("openPolicy() lets the strictest rule win, in any order, and refuses a tree with a forbidden folder in it", async () => {
  const rules: PolicyRule[] = [
    { id: "a", kinds: ["fs.read"], under: "/shared", effect: "allow" },
    { id: "b", kinds: ["fs.read"], under: "/shared/keys", effect: "deny", reason: "keys stay here" },
    { id: "c", kinds: ["fs.read"], under: "/shared/mail", effect: "ask" },
  ];
  for (const order of [rules, rules.toReversed()]) {
    assert.equal((await decide(order, read("/shared/keys.txt"))).kind, "granted");
    const denied = await decide(order, read("/shared/keys/k"));
    assert.equal(
      denied.kind === "denied" && denied.reason,
      "fs.read /shared/keys/k is refused by the rule b: keys stay here",
    );
    assert.equal((await decide(order, read("/shared", "tree"))).kind, "denied");
    const asked = await decide(order, read("/shared/mail/1"));
    assert.match(asked.kind === "ask" ? asked.reason : "", /a person decides \(rule c\)/);
  }
});

Deno.test("openPolicy() gives no more than asked and no more than the widest rule", async () => {
  const rules: PolicyRule[] = [
    { id: "a", kinds: ["fs.write"], under: "/tmp", effect: "allow", most: 10 },
    { id: "b", kinds: ["fs.write"], under: "/tmp/big", effect: "allow", most: 40 },
  ];
  const bytes = async (need: Capability) => {
    const decision = await decide(rules, need);
    const [first] = decision.kind === "granted" ? decision.grant.capabilities : [];
    return first?.kind === "fs.write" ? first.bytesMax : undefined;
  };
  assert.equal(await bytes(write("/tmp/a", 50)), 10);
  assert.equal(await bytes(write("/tmp/a", 5)), 5);
  assert.equal(await bytes(write("/tmp/big/a", 50)), 40);
});

Deno.test("openPolicy() asks a person's rules first, and those that ship where they say nothing", async () => {
  const own: PolicyRule[] = [
    { id: "open", kinds: ["fs.read"], under: "/vault/public", effect: "allow" },
    { id: "shut", kinds: ["fs.read", "fs.write"], under: "/shared/keys", effect: "deny" },
  ];
  const policy = await openPolicy([own, DEFAULT_POLICY]);
  const kindOf = (need: Capability) => {
    const asked = { principal, tool, needs: [need], isPrivate: false, now: 0, timeoutMs: 1, grantId: "g" };
    return policy.decide(asked).kind;
  };
  assert.equal(kindOf(read("/vault/public/a")), "granted");
  assert.equal(kindOf(read("/vault/a")), "ask");
  assert.equal(kindOf(read("/vault", "tree")), "ask", "an allowed folder does not open the tree around it");
  assert.equal(kindOf(read("/shared", "tree")), "denied");
  assert.equal(kindOf(write("/shared/keys/k")), "denied");
  assert.equal(kindOf(write("/shared/a")), "granted");
});

Deno.test("DEFAULT_POLICY lets the web be read, asks for the rest, and for everything once something private was seen", async () => {
  const policy = await openPolicy([DEFAULT_POLICY]);
  const http = (methods: readonly HttpMethod[], url: string) =>
    toHttpNeed(url, { methods, scope: "exact", bytesUpMax: 0, bytesDownMax: 9_000_000, redirectsMax: 5 });
  const decideHttp = (need: Capability, isPrivate = false) =>
    policy.decide({ principal, tool, needs: [need], isPrivate, now: 0, timeoutMs: 1, grantId: "g" });
  const granted = decideHttp(http(["GET"], "https://example.com/a?b"));
  assert.equal(granted.kind, "granted");
  if (granted.kind === "granted") {
    const [first] = granted.grant.capabilities;
    assert.equal(first?.kind === "http" && first.bytesDownMax, LIMITS.responseBytesMax);
  }
  assert.equal(decideHttp(http(["GET", "POST"], "https://example.com/")).kind, "ask");
  assert.equal(decideHttp(http(["DELETE"], "http://example.com/")).kind, "ask");
  for (const port of [1, 79, 81, 442, 444, 65_535]) {
    assert.equal(decideHttp(http(["GET"], `https://example.com:${port}/`)).kind, "ask", String(port));
  }
  const after = decideHttp(http(["GET"], "https://example.com/a"), true);
  assert.match(after.kind === "ask" ? after.reason : "", /could carry it out/);
  const secret: Capability = { kind: "secret", name: "x", hosts: ["example.com"] };
  assert.equal(decideHttp(secret).kind, "ask");
  const command = decideHttp({ kind: "shell", command: "rm -rf build && make" });
  assert.equal(
    command.kind === "ask" && command.reason,
    "shell: a command changes what it can reach (rule default:shell)",
    "the command itself is on the card",
  );
  for (const kind of ["clock", "random", "log"] as const) assert.equal(decideHttp({ kind }).kind, "granted");
  assert.equal(decideHttp({ kind: "config", section: "web_search" }).kind, "granted");
});

Deno.test("openPolicy() has one digest for one set of rules", async () => {
  const one = (await openPolicy([DEFAULT_POLICY])).digest;
  assert.match(one, /^[0-9a-f]{64}$/);
  assert.equal((await openPolicy([DEFAULT_POLICY.toReversed()])).digest, one);
  assert.notEqual((await openPolicy([DEFAULT_POLICY.slice(1)])).digest, one);
  const changed = DEFAULT_POLICY.map((rule) =>
    rule.id === "default:vault" ? { ...rule, effect: "allow" as const } : rule
  );
  assert.notEqual((await openPolicy([changed])).digest, one);
});

Deno.test("PolicyRule refuses what is not a rule", () => {
  const rule = DEFAULT_POLICY[0]!;
  for (
    const wrong of [
      { ...rule, effect: "maybe" },
      { ...rule, kinds: [] },
      { ...rule, extra: 1 },
      { ...rule, most: -1 },
      { ...rule, id: "" },
    ]
  ) {
    assert.equal(PolicyRule.safeParse(wrong).success, false);
  }
  assert.ok(PolicyRule.safeParse({ ...rule, id: "x".repeat(LIMITS.idCharsMax) }).success);
});
