import assert from "node:assert/strict";
import { AppError, attempt, messageOf, toPublicError } from "#/core/error.ts";

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

Deno.test("attempt() gives what the work returns, and undefined when it throws", () => {
  assert.equal(attempt(() => 7), 7);
  assert.equal(attempt(() => null), null);
  assert.equal(attempt(() => Deno.statSync("/nowhere/at all")), undefined);
});

Deno.test("messageOf() is an error's message, and any other value as text", () => {
  assert.deepEqual([new RangeError("too far"), "a word", undefined].map(messageOf), ["too far", "a word", "undefined"]);
});
