import assert from "node:assert/strict";
import { z } from "zod";
import { toIssues, toUnknownKey, toWords } from "#/config/issue.ts";
import { Config } from "#/config/schema.ts";

const Sample = z.strictObject({
  count: z.int().min(1).max(9),
  mode: z.enum(["fast", "slow"]),
  names: z.array(z.string()).min(1),
  text: z.string().regex(/^a/, "must start with a"),
  flag: z.boolean().optional(),
});

Deno.test("toIssues() says what is expected and what is there, and never shows a text", () => {
  const tree = { count: 0, mode: "fats", names: [], text: "secret", flag: "yes", more: 1 };
  const issues = toIssues(Sample.safeParse(tree).error!, Sample, tree);
  assert.deepEqual(issues.map(({ path, sentence }) => `${path.join(".")}: ${sentence}`), [
    "count: expected a number of at least 1, got 0",
    "mode: expected one of fast, slow; the nearest is fast",
    "names: expected at least 1 element",
    "text: must start with a",
    "flag: expected true or false, got text",
    "more: unknown key; the nearest known key is mode",
  ]);
});

Deno.test("toIssues() names what is missing", () => {
  const issues = toIssues(Sample.safeParse({ count: 1.5 }).error!, Sample, { count: 1.5 });
  assert.deepEqual(issues.map(({ sentence }) => sentence), [
    "expected a whole number, got a number",
    "is missing",
    "is missing",
    "is missing",
  ]);
});

Deno.test("toUnknownKey() names the nearest key, or where the key belongs, or what is known", () => {
  assert.equal(toUnknownKey(Config, ["runtime", "max_turn"]), "unknown key; the nearest known key is max_turns");
  assert.match(toUnknownKey(Config, ["top_k"]), /belongs to memory\.retrieval$/);
  assert.match(toUnknownKey(Config, ["gateway", "zzzzzzzzz"]), /known here: max_sessions_per_user, /);
});

Deno.test("toWords() is plain English for each type of TOML", () => {
  assert.deepEqual(["string", "int", "object"].map(toWords), ["text", "a whole number", "a table"]);
});
