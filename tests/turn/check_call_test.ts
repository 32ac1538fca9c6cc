import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { checkCall } from "#/turn/check_call.ts";
import { TOOLS } from "./turn_kit.ts";

const tools = new Map(TOOLS.map((tool) => [tool.schema.name, tool]));

function check(name: string, args: string, place = { index: 0, callsLeft: 100 }) {
  return checkCall({ id: "c", name, arguments: args }, place, tools);
}

function nested(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
}

Deno.test("checkCall() lets a good call pass with its arguments and effect", () => {
  const cases: readonly [string, unknown][] = [
    ['{"path":"/shared/a"}', { path: "/shared/a" }],
    ["", {}],
    ["  \n", {}],
    ["{}", {}],
    ['{"a":[1,{"b":null}]}', { a: [1, { b: null }] }],
  ];
  for (const [args, expected] of cases) {
    const checked = check("file_write", args);
    assert.ok(checked.kind === "ready", args);
    assert.deepEqual([checked.args, checked.effect], [expected, "side_effecting"]);
  }
});

Deno.test("checkCall() refuses arguments that are no JSON object", () => {
  for (const args of ["{", "null", "[]", '"x"', "7", "{} {}", "{'a':1}", "<xml>", "\u0000", "NaN"]) {
    const checked = check("file_read", args);
    assert.ok(checked.kind === "refused" && checked.code === "tool_args_invalid", args);
    assert.ok(checked.text.length < 400);
  }
});

Deno.test("checkCall() measures arguments in bytes, at the limit and one over", () => {
  const around = (bytes: number) => `{"a":"${"é".repeat((bytes - 8) / 2)}"}`;
  assert.equal(new TextEncoder().encode(around(LIMITS.argsBytesMax)).length, LIMITS.argsBytesMax);
  assert.equal(check("file_read", around(LIMITS.argsBytesMax)).kind, "ready");
  const over = check("file_read", `${around(LIMITS.argsBytesMax)} `);
  assert.ok(over.kind === "refused" && over.code === "tool_args_too_large");
});

Deno.test("checkCall() refuses arguments that were dropped for their size", () => {
  const call = { id: "c", name: "file_read", arguments: "", droppedBytes: 10_000_000 };
  const checked = checkCall(call, { index: 0, callsLeft: 1 }, tools);
  assert.ok(checked.kind === "refused" && checked.code === "tool_args_too_large");
  assert.match(checked.text, /10000000 bytes/);
});

Deno.test("checkCall() bounds nesting, also where a recursive walk would overflow the stack", () => {
  assert.equal(check("file_read", nested(LIMITS.argsDepthMax)).kind, "ready");
  for (const levels of [LIMITS.argsDepthMax + 1, 150_000]) {
    const checked = check("file_read", nested(levels));
    assert.ok(checked.kind === "refused" && checked.code === "tool_args_invalid");
    assert.match(checked.text, /nested deeper than 64 levels/);
  }
  const lists = check("file_read", `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
  assert.equal(lists.kind, "refused");
});

Deno.test("checkCall() names the tools and the nearest one for a name that does not exist", () => {
  const near = check("file_wriet", "{}");
  assert.ok(near.kind === "refused" && near.code === "tool_unknown");
  assert.equal(
    near.text,
    'There is no tool "file_wriet". Did you mean file_write? The tools are: file_read, file_list, file_write.',
  );
  const far = check(`\u0007${"z".repeat(1_000_000)}`, "{}");
  assert.ok(far.kind === "refused" && far.text.length < 250 && !far.text.includes("\u0007"));
  const none = checkCall({ id: "c", name: "x", arguments: "" }, { index: 0, callsLeft: 1 }, new Map());
  assert.match(none.kind === "refused" ? none.text : "", /this turn has no tools/);
  for (const name of ["__proto__", "constructor", "toString"]) assert.equal(check(name, "{}").kind, "refused");
});

Deno.test("checkCall() keeps a reply and a turn to their number of calls", () => {
  const last = LIMITS.toolCallsPerStepMax - 1;
  assert.equal(check("file_read", "{}", { index: last, callsLeft: 100 }).kind, "ready");
  for (const place of [{ index: last + 1, callsLeft: 100 }, { index: 2, callsLeft: 2 }]) {
    const checked = check("file_read", "{}", place);
    assert.ok(checked.kind === "refused" && checked.code === "tool_calls_too_many");
  }
});
