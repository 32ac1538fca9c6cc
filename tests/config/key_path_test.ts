import assert from "node:assert/strict";
import { toKeyPath } from "#/config/key_path.ts";

Deno.test("toKeyPath() writes a path as TOML does, and no two paths alike", () => {
  assert.equal(toKeyPath(["mcp", "servers", 0, "name"]), "mcp.servers[0].name");
  assert.equal(toKeyPath(["users", "a b"]), 'users."a b"');
  assert.notEqual(toKeyPath(["a", "b"]), toKeyPath(["a.b"]));
  assert.notEqual(toKeyPath(["a", 0]), toKeyPath(["a[0]"]));
  assert.equal(toKeyPath([]), "");
});
