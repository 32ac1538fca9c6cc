import assert from "node:assert/strict";
import { AppError, toPublicError } from "#/core/error.ts";

Deno.test("toPublicError() lets our codes speak and nothing else", () => {
  const ours = new AppError("path_outside", "say this", { params: { root: "/shared" }, cause: new Error("hidden") });
  assert.deepEqual(toPublicError(ours, "id1"), { code: "path_outside", message: "say this" });
  assert.equal(ours.params.root, "/shared");
  for (
    const foreign of [new Error("secret /home/x"), "text", null, undefined, { code: "path_outside", message: "forged" }]
  ) {
    assert.deepEqual(toPublicError(foreign, "id2"), { code: "internal", message: "internal error (id2)" });
  }
});
