import assert from "node:assert/strict";
import type { Tool } from "#/core/tool.ts";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import { toOutcome, toRefusal, toScrubber } from "#/sandbox/outcome.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";
import { probe } from "./temp_broker.ts";

const tool = { name: "t", package: "p", version: "1", sha256: "0" };
const decision = { kind: "denied", missing: [], policyDigest: "d", source: "s", reason: "r" } as const;

Deno.test("toOutcome() caps the text and makes no success of a failure without a code", () => {
  const text = "x".repeat(LIMITS.toolOutputBytesMax + 1);
  const reply = { ok: true, code: "ok", text, outputBytes: 9_999_999, elapsedMs: 1.6 } as const;
  const outcome = toOutcome(tool, decision, reply, (same) => same);
  assert.deepEqual([outcome.text.length, outcome.outputBytes, outcome.elapsedMs], [
    LIMITS.toolOutputBytesMax,
    9_999_999,
    2,
  ]);
  assert.equal("code" in outcome, false);
  assert.equal(toOutcome(tool, decision, { ...reply, ok: false }, (same) => same).code, "tool_failed");
});

Deno.test("toRefusal() leaves the decision out when there was none", () => {
  const refusal = toRefusal(tool, { kind: "failed", code: "tool_unknown", text: "ü" });
  assert.deepEqual(refusal, { kind: "failed", tool, code: "tool_unknown", text: "ü", outputBytes: 2, elapsedMs: 0 });
});

Deno.test("toScrubber() takes the longest path first and ignores what would replace everything", () => {
  const scrub = toScrubber([
    { host: "/w/u", virtual: "" },
    { host: "/w/u/shared", virtual: "/shared" },
    { host: "/", virtual: "/tmp" },
    { host: "/with space/x", virtual: "/vault" },
  ], []);
  assert.equal(scrub("/w/u/shared/a /w/u/run /etc /with%20space/x /with space/x"), "/shared/a /run /etc /vault /vault");
});

Deno.test("toScrubber() lets neither a path cut a secret nor a secret a path", () => {
  const roots = [{ host: "/w/u/shared", virtual: "/shared" }, { host: "/w/hunter2-42", virtual: "" }];
  const secrets = [
    { name: "around", value: new Secret("x/w/u/shared/y") },
    { name: "inside", value: new Secret("hunter2-42") },
    { name: "across", value: new Secret("shared/abcdefgh") },
  ];
  const scrub = toScrubber(roots, secrets);
  assert.equal(scrub("x/w/u/shared/y"), "[REDACTED:around]");
  assert.equal(scrub("/w/hunter2-42/a hunter2-42"), "/a [REDACTED:inside]");
  assert.equal(scrub("/w/u/shared/abcdefgh"), "[REDACTED:across]");
  assert.equal(scrub("\\/w\\/u\\/shared\\/a"), "/shared\\/a");
});

Deno.test("parseArgs() gives what the schema gives", () => {
  assert.deepEqual(parseArgs(probe as Tool, { path: "x" }), { path: "x" });
});
