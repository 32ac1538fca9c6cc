import assert from "node:assert/strict";
import { toImports } from "#/sandbox/child_imports.ts";
import { toImportName } from "#/sandbox/component_interfaces.ts";
import { INTERFACE_OF, KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";

Deno.test("KNOWN_INTERFACES are those that a tool child has functions for", () => {
  const offered = toImports(() => assert.fail("nothing is asked"), () => false);
  assert.deepEqual(Object.keys(offered).sort(), [...KNOWN_INTERFACES].sort());
  assert.equal(toImportName(INTERFACE_OF["fs.list"]), "oxydra:tool/fs-read");
});
