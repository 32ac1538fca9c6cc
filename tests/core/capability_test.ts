import assert from "node:assert/strict";
import { APPROVAL_ANSWERS, HTTP_METHODS, toCallKey } from "#/core/capability.ts";
import { PolicyRule } from "#/sandbox/policy_rule.ts";

Deno.test("HTTP_METHODS are those that a rule may name, and CONNECT and TRACE are none of them", () => {
  for (const method of HTTP_METHODS) {
    const rule = { id: "r", kinds: ["http"], effect: "allow", hosts: ["example.com"], methods: [method] };
    assert.ok(PolicyRule.safeParse(rule).success, method);
    assert.ok(!PolicyRule.safeParse({ ...rule, methods: [method.toLowerCase()] }).success, "spelled one way");
  }
  assert.ok(!HTTP_METHODS.some((method) => /^(CONNECT|TRACE)$/.test(method)));
});

Deno.test("APPROVAL_ANSWERS are words that stay: a log holds them", () => {
  assert.deepEqual([...APPROVAL_ANSWERS], ["once", "session", "until", "no", "never"]);
});

Deno.test("toCallKey() names a call by session, turn and id, and no choice of ids makes two calls one", () => {
  const keys = [["s", "t", "c"], ["s,t", "", "c"], ["s", 't","c', ""], ["s", "t", "c2"]]
    .map(([session, turn, callId]) => toCallKey({ session: session!, turn: turn!, callId: callId! }));
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(toCallKey({ session: "s", turn: "t", callId: "c" }), keys[0]);
});
