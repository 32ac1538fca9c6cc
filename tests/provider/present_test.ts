import { strict as assert } from "node:assert";
import { present } from "#/provider/present.ts";

Deno.test("present() leaves out null and undefined, and nothing else that is empty", () => {
  const members = { a: undefined, b: 0, c: null, d: "", e: false, f: [] };
  assert.equal(JSON.stringify(present(members)), '{"b":0,"d":"","e":false,"f":[]}');
});
