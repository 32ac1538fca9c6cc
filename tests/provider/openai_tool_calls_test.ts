import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { ToolCallAssembler, type ToolCallPart } from "#/provider/openai_tool_calls.ts";

function assemble(parts: readonly ToolCallPart[], taken: readonly string[] = []) {
  let made = 0;
  const assembler = new ToolCallAssembler(taken, () => `new_${++made}`);
  for (const part of parts) assembler.push(part);
  return assembler.finish();
}

const part = (index: number | null, id: string | null, name: string | null, args?: unknown): ToolCallPart => ({
  index,
  id,
  function: { name, arguments: args },
});

Deno.test("ToolCallAssembler joins fragments by index", () => {
  assert.deepEqual(assemble([part(0, "a", "read", ""), part(0, null, null, '{"p'), part(0, null, null, '":1}')]), [
    { id: "a", name: "read", arguments: '{"p":1}' },
  ]);
});

Deno.test("ToolCallAssembler keeps interleaved calls apart", () => {
  const calls = assemble([
    part(0, "a", "read", ""),
    part(1, "b", "list", ""),
    part(0, null, null, '{"x"'),
    part(1, null, null, '{"y"'),
    part(0, null, null, ":1}"),
    part(1, null, null, ":2}"),
  ]);
  assert.deepEqual(calls.map((call) => [call.name, call.arguments]), [["read", '{"x":1}'], ["list", '{"y":2}']]);
});

Deno.test("ToolCallAssembler copes with how vendors differ", () => {
  const table:
    readonly (readonly [what: string, parts: readonly ToolCallPart[], calls: readonly (readonly string[])[]])[] = [
      ["no id", [part(0, null, "a", "{}"), part(0, null, null, "")], [["new_1", "a", "{}"]]],
      ["empty id", [part(0, "", "a", "{}")], [["new_1", "a", "{}"]]],
      ["id later", [part(0, null, "a", "{"), part(0, "late", null, "}")], [["late", "a", "{}"]]],
      ["name cut", [part(0, "i", "file_", ""), part(0, null, "read", "{}")], [["i", "file_read", "{}"]]],
      ["head repeated", [part(0, "i", "a", "{"), part(0, "i", "a", "}")], [["i", "a", "{}"]]],
      ["same id twice", [part(0, "i", "a", "{}"), part(1, "i", "b", "{}")], [["i", "a", "{}"], ["new_1", "b", "{}"]]],
      ["all index 0", [part(0, "i", "a", "{}"), part(0, "j", "b", "{}")], [["i", "a", "{}"], ["j", "b", "{}"]]],
      ["no index", [part(null, "i", "a", "{"), part(null, null, null, "}"), part(null, "j", "b", "[]")], [
        ["i", "a", "{}"],
        ["j", "b", "[]"],
      ]],
      ["index gap", [part(5, "i", "a", "{}"), part(2, "j", "b", "{}")], [["i", "a", "{}"], ["j", "b", "{}"]]],
      ["object arguments", [part(0, "i", "a", { path: "/x" })], [["i", "a", '{"path":"/x"}']]],
      ["no arguments", [part(0, "i", "a", "")], [["i", "a", "{}"]]],
      ["no function", [{ index: 0, id: "i" }], [["i", "", "{}"]]],
      ["long id", [part(0, "i".repeat(LIMITS.idCharsMax + 1), "a", "{}")], [["new_1", "a", "{}"]]],
    ];
  for (const [what, parts, expected] of table) {
    assert.deepEqual(assemble(parts).map((call) => [call.id, call.name, call.arguments]), expected, what);
  }
});

Deno.test("ToolCallAssembler gives a new id to a call that repeats one of the conversation", () => {
  assert.deepEqual(assemble([part(0, "call_0", "a", "{}")], ["call_0"])[0]!.id, "new_1");
});

Deno.test("ToolCallAssembler keeps arguments of exactly argsBytesMax and drops one byte more", () => {
  const fill = "é".repeat((LIMITS.argsBytesMax - 2) / 2);
  const fits = assemble([part(0, "i", "a", '"'), part(0, null, null, fill), part(0, null, null, '"')])[0]!;
  assert.equal(new TextEncoder().encode(fits.arguments).length, LIMITS.argsBytesMax);
  assert.equal(fits.droppedBytes, undefined);
  const over = assemble([part(0, "i", "a", `"${fill}"`), part(0, null, null, "x"), part(0, null, null, "yz")])[0]!;
  assert.deepEqual([over.arguments, over.droppedBytes], ["", LIMITS.argsBytesMax + 3]);
});

Deno.test("ToolCallAssembler bounds a name that never ends", () => {
  const parts = Array.from({ length: 1_000 }, (_, at) => part(0, "i", `n${at}`, ""));
  assert.equal(assemble(parts)[0]!.name.length, LIMITS.idCharsMax);
});
