import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { ifReached } from "#/cli/control_client.ts";

Deno.test("ifReached() takes a runner that is not there for no answer, and nothing else for one", async () => {
  assert.equal(await ifReached(Promise.resolve("here")), "here");
  assert.equal(await ifReached(Promise.reject(new AppError("gateway_unreachable", "nobody"))), undefined);
  await assert.rejects(ifReached(Promise.reject(new AppError("approval_unknown", "gone"))), {
    code: "approval_unknown",
  });
  await assert.rejects(ifReached(Promise.reject(new TypeError("a mistake of ours"))), TypeError);
});
