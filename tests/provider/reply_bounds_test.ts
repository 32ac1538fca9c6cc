import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { checkReply } from "#/provider/reply_bounds.ts";

Deno.test("checkReply() takes a reply at its bounds and none beyond", () => {
  checkReply("acme", LIMITS.replyCharsMax, LIMITS.replyToolCallsMax);
  const beyond = { code: "provider_protocol", message: /acme/ };
  assert.throws(() => checkReply("acme", LIMITS.replyCharsMax + 1, 0), beyond);
  assert.throws(() => checkReply("acme", 0, LIMITS.replyToolCallsMax + 1), beyond);
});
