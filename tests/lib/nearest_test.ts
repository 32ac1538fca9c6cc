import assert from "node:assert/strict";
import { nearestName, nearestNames } from "#/lib/nearest.ts";

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

Deno.test("nearestNames() gives the nearest first, equals as they came, and no more than are wanted", () => {
  const models = ["gpt-4.1-nano", "gpt-4.1-mini", "gpt-4o-mini", "gpt-4.1", "o3"];
  assert.deepEqual(nearestNames("gpt-4.1-mni", models, 3), ["gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o-mini"]);
  assert.deepEqual(nearestNames("a", ["b", "c", "d"], 2), ["b", "c"]);
  assert.deepEqual(nearestNames("claude", models, 3), []);
});
