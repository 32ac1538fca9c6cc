import assert from "node:assert/strict";
import { AgentFile } from "#/config/schema.ts";
import { checkShape } from "#/config/shape.ts";

const check = (tree: Record<string, unknown>) => {
  const { tree: kept, issues } = checkShape(AgentFile, tree);
  return { kept: JSON.parse(JSON.stringify(kept)), said: issues.map((i) => `${i.path.join(".")}: ${i.sentence}`) };
};

Deno.test("checkShape() keeps what is right and names the rest", () => {
  const { kept, said } = check({ runtime: { max_turns: 5, max_turn: 6, turn_timeout_secs: "60" }, memory: 3 });
  assert.deepEqual(kept, { runtime: { max_turns: 5 } });
  assert.deepEqual(said, [
    "runtime.max_turn: unknown key; the nearest known key is max_turns",
    "runtime.turn_timeout_secs: expected a number, got text",
    "memory: expected a table",
  ]);
});

Deno.test("checkShape() looks into lists of tables and into names", () => {
  const { kept, said } = check({
    mcp: { servers: [{ name: "a", transport: "stdio", comand: "x" }] },
    agents: { "a/b": {}, ok: { max_turns: 1 } },
  });
  assert.deepEqual(kept, { mcp: {}, agents: { ok: { max_turns: 1 } } });
  assert.match(said.join("\n"), /mcp\.servers\.0\.comand: unknown key; the nearest known key is command/);
  assert.match(said.join("\n"), /agents\.a\/b: must be a name/);
});

Deno.test("checkShape() refuses __proto__ and constructor like any unknown key", () => {
  const tree = JSON.parse('{"agents":{"__proto__":{"max_turns":1}},"constructor":1,"toString":{}}');
  assert.equal(check(tree).said.length, 3);
});

Deno.test("checkShape() takes nesting of any depth", () => {
  let deep: Record<string, unknown> = {};
  for (let i = 0; i < 200_000; i++) deep = { a: deep };
  assert.equal(checkShape(AgentFile, deep).issues.length, 1);
});
