import assert from "node:assert/strict";
import { toPublicEvent } from "#/gateway/public_event.ts";
import { delta, stored, turnDone } from "./scripted_source.ts";

Deno.test("toPublicEvent() leaves out bytes and what a vendor sealed, and nothing else", () => {
  const message = stored("user_message", {
    text: "t",
    channel: "c",
    attachments: [{ mimeType: "image/png", data: "AA==" }],
  });
  const shown = toPublicEvent(message);
  assert.ok(shown.type === "user_message");
  assert.deepEqual(shown.payload.attachments, [{ mimeType: "image/png", data: "" }]);
  const payload = {
    step: 1,
    text: "t",
    toolCalls: [{ id: "c", name: "n", arguments: "{}", metadata: { s: 1 } }],
    finishReason: "stop",
    usage: {},
    replay: { provider: "p", model: "m", data: {} },
  };
  const reply = toPublicEvent(stored("model_result", payload));
  assert.ok(reply.type === "model_result");
  const { replay: _, ...rest } = payload;
  assert.deepEqual(reply.payload, { ...rest, toolCalls: [{ id: "c", name: "n", arguments: "{}" }] });
  for (const other of [delta("x"), turnDone("x"), stored("user_message", { text: "t", channel: "c" })]) {
    assert.equal(toPublicEvent(other), other);
  }
});
