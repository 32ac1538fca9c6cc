import assert from "node:assert/strict";
import { toHttpError, toHttpFailure } from "#/gateway/http_error.ts";
import { AppError } from "#/core/error.ts";
import { mayDo } from "#/gateway/token.ts";

Deno.test("mayDo() lets an owner do everything and the others their own", () => {
  for (const needed of ["owner", "read", "channel"] as const) assert.equal(mayDo("owner", needed), true);
  assert.deepEqual([mayDo("read", "read"), mayDo("read", "channel"), mayDo("read", "owner")], [true, false, false]);
  assert.deepEqual([mayDo("channel", "channel"), mayDo("channel", "read")], [true, false]);
});

Deno.test("toHttpFailure() and toHttpError() speak as clients of OpenAI's API read it", () => {
  assert.deepEqual(toHttpFailure(new AppError("turn_conflict", "twice"), "i"), {
    status: 409,
    body: { error: { message: "twice", type: "invalid_request_error", code: "turn_conflict", param: null } },
  });
  assert.equal(toHttpFailure(new Error("/etc/passwd"), "i").body.error.message, "internal error (i)");
  assert.equal(toHttpError("x", "y", 503).error.type, "server_error");
});
