import assert from "node:assert/strict";
import { cloneTree, isSame, isTable, leaves, mergeTree, nest, newTree, valueAt } from "#/config/tree.ts";

Deno.test("mergeTree() merges tables, replaces lists whole and leaves the upper tree alone", () => {
  const over = { a: { y: 2, list: [3] } };
  const visited: string[] = [];
  const merged = mergeTree(cloneTree({ a: { x: 1, list: [1, 2] } }), over, (path) => visited.push(path.join(".")));
  assert.deepEqual(JSON.parse(JSON.stringify(merged)), { a: { x: 1, list: [3], y: 2 } });
  assert.deepEqual(visited, ["a.y", "a.list"]);
  (valueAt(merged, ["a", "list"]) as number[]).push(9);
  assert.deepEqual(over.a.list, [3]);
});

Deno.test("mergeTree() keeps a key named __proto__ an ordinary key", () => {
  const evil = JSON.parse('{"__proto__": {"polluted": true}}');
  const merged = mergeTree(newTree(), evil);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(valueAt(merged, ["polluted"]), undefined);
  assert.equal(valueAt(merged, ["__proto__", "polluted"]), true);
});

Deno.test("valueAt() sees own keys and elements only", () => {
  assert.equal(valueAt({ a: [{ b: 1 }] }, ["a", 0, "b"]), 1);
  assert.equal(valueAt({}, ["constructor"]), undefined);
  assert.equal(valueAt("text", ["length"]), undefined);
});

Deno.test("leaves() and nest() are each other's inverse for a path", () => {
  assert.deepEqual([...leaves(nest({ k: [1] }, ["a", "b"]))], [[["a", "b", "k"], [1]]]);
});

Deno.test("isSame() compares by value and isTable() knows a table from a list and a date", () => {
  assert.ok(isSame({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }));
  assert.ok(!isSame({ a: 1 }, { a: 1, b: 2 }));
  assert.ok(!isSame([1], [1, 2]));
  assert.deepEqual([{}, [], new Date(0), null, "x"].map(isTable), [true, false, false, false, false]);
});
