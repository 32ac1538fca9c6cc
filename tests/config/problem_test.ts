import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type Problem, toConfigError } from "#/config/problem.ts";

const problem = (over: Partial<Problem> = {}): Problem => ({
  code: "config_invalid",
  place: "a.toml",
  line: 3,
  key: "k",
  sentence: "is wrong",
  ...over,
});

Deno.test("toConfigError() writes one line for each problem", () => {
  const error = toConfigError([problem(), problem({ place: "OXYDRA__X", key: "", sentence: "unknown key" })]);
  assert.equal(error.message, "a.toml:3: k: is wrong\nOXYDRA__X:3: unknown key");
  assert.equal(error.code, "config_invalid");
});

Deno.test("toConfigError() is about trust only when nothing else is wrong", () => {
  const untrusted = problem({ code: "config_untrusted" });
  assert.equal(toConfigError([untrusted, untrusted]).code, "config_untrusted");
  assert.equal(toConfigError([untrusted, problem()]).code, "config_invalid");
});

Deno.test("toConfigError() counts what is beyond the limit", () => {
  const lines = toConfigError(Array(LIMITS.configProblemsMax + 7).fill(problem())).message.split("\n");
  assert.equal(lines.length, LIMITS.configProblemsMax + 1);
  assert.equal(lines.at(-1), "and 7 more");
});

Deno.test("toConfigError() keeps a key of a hostile file from moving the cursor", () => {
  const { message } = toConfigError([problem({ key: "\x1b[2Jx\u009b31m\u202e" + "y".repeat(1_000), place: "a\nb" })]);
  // deno-lint-ignore no-control-regex -- that there is none is the point
  assert.doesNotMatch(message, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  assert.ok(message.length < 300);
});
