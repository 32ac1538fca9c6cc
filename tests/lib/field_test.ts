import assert from "node:assert/strict";
import type { z } from "zod";
import { cost, count, envName, httpUrl, line, name, ratio, seconds, secretText, timezone, url } from "#/lib/field.ts";

const cases: Record<string, [schema: z.ZodType, good: unknown[], bad: unknown[]]> = {
  count: [count(), [1, 4_294_967_295], [0, -1, 1.5, 4_294_967_296, NaN, Infinity, "1", null]],
  "count(max)": [count(3), [3], [4]],
  seconds: [seconds(), [1, 2_147_483], [0, 2_147_484]],
  ratio: [ratio(), [0, 0.5, 1], [-0.1, 1.1, NaN]],
  cost: [cost(), [0.01, 1e6], [0, -1, Infinity]],
  line: [line(), ["a", "ü b"], ["", "  ", "a\nb", "a\0", "\x1b"]],
  envName: [envName(), ["A", "_a1"], ["", "1A", "A-B", "A=B", "A\n"]],
  name: [name(), ["my-proxy", "a.b_c", "A1"], ["", "-a", "a/b", "a b", "a".repeat(65), "a\n"]],
  httpUrl: [httpUrl(), ["http://localhost:1", "https://x.example/v1?q=1"], [
    "ftp://x",
    "x.example",
    "https://u:p@x.example",
    "https://u@x.example",
    "http://",
    "javascript:alert(1)",
    "https://x\n.example",
  ]],
  url: [url(["libsql:"]), ["libsql://x.turso.io"], ["https://x.turso.io", "libsql:x"]],
  timezone: [timezone(), ["UTC", "Europe/Berlin", "Asia/Kolkata"], ["", "Mars/Olympus", "+02:00", "Europe/Berlin "]],
};

for (const [title, [schema, good, bad]] of Object.entries(cases)) {
  Deno.test(`${title}() takes what it names and nothing else`, () => {
    for (const value of good) assert.ok(schema.safeParse(value).success, String(value));
    for (const value of bad) assert.ok(!schema.safeParse(value).success, String(value));
  });
}

Deno.test("secretText() wraps a value, refuses a line break and takes an empty one as not set", () => {
  assert.equal(secretText().parse("k")?.reveal(), "k");
  assert.equal(secretText().parse(""), undefined);
  for (const bad of ["a\nb", "a\r", "\0", 1]) assert.ok(!secretText().safeParse(bad).success);
});

Deno.test("seconds() ends where a timer would fire at once", () => {
  assert.ok(2_147_483 * 1000 <= 2 ** 31 - 1 && 2_147_484 * 1000 > 2 ** 31 - 1);
});
