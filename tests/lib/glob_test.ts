import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { compileGlob } from "#/lib/glob.ts";

Deno.test("compileGlob() matches as its table says", () => {
  const table: [string, string, boolean][] = [
    ["", "a/b.txt", true],
    ["*.txt", "a/b.txt", true],
    ["*.txt", "b.md", false],
    ["/*.txt", "b.txt", true],
    ["a/*.txt", "a/b.txt", true],
    ["a/*.txt", "a/c/b.txt", false],
    ["a/**/*.txt", "a/b.txt", true],
    ["a/**/*.txt", "a/c/d/b.txt", true],
    ["a/**", "a/c/d", true],
    ["**", "x", true],
    ["**/c/**", "a/b/c/d", true],
    ["**/c/**", "a/b/d", false],
    ["?.ts", "a.ts", true],
    ["?.ts", "ab.ts", false],
    ["*.{ts,js}", "src/a.js", true],
    ["*.{ts,js}", "src/a.jsx", false],
    ["{a,b/{c,d}}/x", "b/d/x", true],
    ["{a,b/{c,d}}/x", "b/e/x", false],
    ["{a}", "{a}", true],
    ["a{b", "a{b", true],
    ["[id].tsx", "[id].tsx", true],
    ["[id].tsx", "i.tsx", false],
    [".", "ab", false],
    ["a+b", "a+b", true],
    ["*", ".hidden", true],
  ];
  for (const [glob, path, expected] of table) assert.equal(compileGlob(glob)(path), expected, `${glob} ~ ${path}`);
});

Deno.test("compileGlob() refuses what is too long or unfolds too far", () => {
  assert.throws(() => compileGlob("x".repeat(LIMITS.pathBytesMax + 1)), { code: "tool_args_invalid" });
  assert.ok(compileGlob("x".repeat(LIMITS.pathBytesMax)));
  assert.throws(() => compileGlob("{a,b}".repeat(7)), { code: "tool_args_invalid" });
  assert.ok(compileGlob("{a,b}".repeat(6))("abaabb"));
});

Deno.test("compileGlob() comes to an end on patterns that make regular expressions explode", () => {
  const match = compileGlob(`${"*a".repeat(120)}*b`);
  assert.equal(match("a".repeat(250)), false);
  assert.equal(compileGlob(`${"**/".repeat(300)}x`)("a/".repeat(60) + "y"), false);
});
