import assert from "node:assert/strict";
import { toJsonArguments } from "#/provider/tool_arguments.ts";

Deno.test("toJsonArguments() is JSON of an object, whatever the model wrote", () => {
  const of = (text: string, droppedBytes?: number) =>
    toJsonArguments({ id: "c", name: "t", arguments: text, ...(droppedBytes === undefined ? {} : { droppedBytes }) });
  assert.equal(of('{ "a":1 }'), '{ "a":1 }');
  assert.deepEqual(JSON.parse(of('{"a":')), { invalid_json: '{"a":' });
  for (const text of ["[1]", "null", "5", '"x"']) assert.deepEqual(JSON.parse(of(text)), { not_an_object: text });
  assert.deepEqual(JSON.parse(of("", 2_000_000)), { dropped_bytes: 2_000_000 });
});
