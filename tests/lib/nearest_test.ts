import assert from "node:assert/strict";
import { nearestName } from "#/lib/nearest.ts";

Deno.test("nearestName() finds what a slip may have meant, and nothing else", () => {
  const tools = ["file_read", "file_write", "file_list", "shell_exec"];
  const cases: readonly [string, string | undefined][] = [
    ["file_raed", "file_read"],
    ["FILE_READ", "file_read"],
    ["fileread", "file_read"],
    ["file_wrte", "file_write"],
    ["shell", undefined],
    ["quantum", undefined],
    ["", undefined],
    ["x".repeat(1_000_000), undefined],
  ];
  for (const [name, expected] of cases) assert.equal(nearestName(name, tools), expected, name.slice(0, 20));
  assert.equal(nearestName("a", []), undefined);
  assert.equal(nearestName("ab", ["ax", "ay"]), "ax", "the first of equals");
  assert.equal(nearestName("max_tunrs", ["max_cost", "max_turns"]), "max_turns");
});
