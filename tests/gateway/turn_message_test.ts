import assert from "node:assert/strict";
import { isSameMessage, toMessage } from "#/gateway/turn_message.ts";

const message = { session: "s", turn: "t", text: "hi", channel: "c", requestId: "r", attachments: [] };
const png = (data: string) => ({ ...message, attachments: [{ mimeType: "image/png", data }] });

Deno.test("toMessage() takes the message out of a turn", () => {
  assert.deepEqual(toMessage({ ...message, started: true } as typeof message), message);
});

Deno.test("isSameMessage() compares what was said, not who asked", () => {
  assert.ok(isSameMessage(message, { ...message, requestId: "again" }));
  assert.ok(isSameMessage(png("AA=="), png("AA==")));
  for (const other of [{ ...message, text: "ho" }, png("AA==")]) assert.ok(!isSameMessage(message, other));
  assert.ok(!isSameMessage(png("AA=="), png("AQ==")));
});
