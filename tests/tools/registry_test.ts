import assert from "node:assert/strict";
import { WebSearchConfig } from "#/tools/config.ts";
import { toTools } from "#/tools/registry.ts";
import { toSchema } from "#/tools/to_schema.ts";
import { TOOLS as IN_FILES } from "../../tools-wasm/files/tools.ts";
import { TOOLS as IN_WEB } from "../../tools-wasm/web/tools.ts";

const TOOLS = toTools();

Deno.test("toTools() lists every tool, and the component of each package runs those that name it", () => {
  assert.deepEqual([...TOOLS.keys()], [
    "file_read",
    "file_list",
    "file_search",
    "file_write",
    "file_edit",
    "file_delete",
    "web_fetch",
    "web_search",
    "vault_copyto",
    "attachment_save",
  ]);
  for (const [component, inside] of [["files", IN_FILES], ["web", IN_WEB]] as const) {
    const named = [...TOOLS.values()].filter(({ run }) => "component" in run && run.component === component);
    assert.deepEqual(named.map(({ name }) => name).sort(), Object.keys(inside).sort());
  }
  for (const [name, tool] of TOOLS) {
    assert.equal(tool.name, name);
    assert.ok(tool.timeoutMs > 0 && tool.timeoutMs <= 60_000, name);
    assert.equal(tool.effect, /^file_(?:read|list|search)$/.test(name) ? "read_only" : "side_effecting", name);
  }
});

Deno.test("toTools() lets the person's settings say what a tool needs, and nothing else of it", () => {
  const own = toTools({ webSearch: WebSearchConfig.parse({ provider: "searxng", base_url: "https://s.example" }) });
  const needs = own.get("web_search")!.needs({ query: "q" });
  assert.deepEqual(needs.flatMap((need) => need.kind === "http" ? [need.host] : []), ["s.example"]);
  assert.deepEqual([...own.values()].map(toSchema), [...TOOLS.values()].map(toSchema));
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
