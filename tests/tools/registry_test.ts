import assert from "node:assert/strict";
import { TOOLS } from "#/tools/registry.ts";
import { toSchema } from "#/tools/to_schema.ts";
import { TOOLS as IN_COMPONENT } from "../../tools-wasm/files/tools.ts";

Deno.test("the registry holds the six file tools, and the component runs each of them", () => {
  assert.deepEqual([...TOOLS.keys()], [
    "file_read",
    "file_list",
    "file_search",
    "file_write",
    "file_edit",
    "file_delete",
  ]);
  assert.deepEqual(Object.keys(IN_COMPONENT).sort(), [...TOOLS.keys()].sort());
  for (const [name, tool] of TOOLS) {
    assert.equal(tool.name, name);
    assert.deepEqual(tool.run, { component: "files" });
    assert.ok(tool.timeoutMs > 0 && tool.timeoutMs <= 60_000, name);
    assert.equal(tool.effect, /read|list|search/.test(name) ? "read_only" : "side_effecting", name);
  }
});

Deno.test("toSchema() gives plain JSON Schema in which every argument is described and no other is allowed", () => {
  for (const tool of TOOLS.values()) {
    const schema = toSchema(tool);
    assert.equal(schema.name, tool.name);
    assert.equal(schema.description, tool.description);
    assert.deepEqual(JSON.parse(JSON.stringify(schema)), schema);
    const parameters = schema.parameters as { type: string; properties: Record<string, { description?: string }> };
    assert.equal(parameters.type, "object");
    assert.ok(!("$schema" in parameters));
    assert.equal(schema.parameters.additionalProperties, false);
    for (const [name, property] of Object.entries(parameters.properties)) {
      assert.ok((property.description ?? "").length > 5, `${tool.name}.${name}`);
    }
  }
});

Deno.test("toSchema() of file_delete, whole", () => {
  assert.deepEqual(toSchema(TOOLS.get("file_delete")!).parameters, {
    type: "object",
    properties: {
      path: { type: "string", minLength: 1, maxLength: 1_024, description: "File to delete, e.g. /tmp/draft.txt" },
    },
    required: ["path"],
    additionalProperties: false,
  });
});
