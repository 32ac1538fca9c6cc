import assert from "node:assert/strict";
import { isSameMessage, toMessage, type Turn } from "#/gateway/turn_record.ts";

const media = (data: string) => [{ mimeType: "image/png", data }];

Deno.test("isSameMessage() compares what was said and sent along, and nothing else", () => {
  const base = { text: "a", attachments: media("x") };
  assert.ok(isSameMessage(base, { text: "a", attachments: media("x") }));
  for (const other of [{ text: "b" }, { attachments: [] }, { attachments: media("y") }]) {
    assert.ok(!isSameMessage(base, { ...base, ...other }));
  }
});

Deno.test("toMessage() is what a turn came as", () => {
  const message = { session: "s", turn: "t", text: "a", channel: "c", requestId: "r", attachments: media("x") };
  assert.deepEqual(toMessage({ ...message, started: true, waiting: "" } as unknown as Turn), message);
});
