import assert from "node:assert/strict";
import { z } from "zod";
import { Config } from "#/config/schema.ts";
import { PARSE_ONCE, schemaAt, schemaBelow, schemaKeys, toNode } from "#/config/schema_walk.ts";

Deno.test("toNode() sees through optional, default and transform", () => {
  assert.equal(toNode(z.string().transform((text) => text.length).prefault("x").optional()).kind, "text");
  assert.equal(toNode(z.int().default(1)).kind, "number");
  assert.throws(() => toNode(z.date()), TypeError);
});

Deno.test("toNode() knows every schema of Config", () => {
  const keys = [...schemaKeys(Config)].map((path) => path.join("."));
  assert.ok(keys.includes("providers.registry.*.base_url"));
  assert.ok(keys.includes("mcp.servers.*.command"));
  assert.ok(keys.includes("user.channels.telegram.senders.*.platform_ids"));
  assert.ok(keys.length > 100, String(keys.length));
});

Deno.test("schemaAt() follows names that a person chose, and no inherited property", () => {
  assert.equal(toNode(schemaAt(Config, ["agents", "any", "max_turns"])!).kind, "number");
  assert.equal(schemaAt(Config, ["agents", "any", "nope"]), undefined);
  assert.equal(schemaBelow(Config, "constructor"), undefined);
});

Deno.test("PARSE_ONCE gives the same result as a compiled parse", () => {
  assert.deepEqual(Config.parse({}, PARSE_ONCE), Config.parse({}));
});
