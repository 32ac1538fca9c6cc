import assert from "node:assert/strict";
import type { Reply } from "#/turn/model_call.ts";
import { toModelResult } from "#/turn/model_result.ts";

const PLAIN: Reply = {
  text: "Hi",
  reasoning: "",
  toolCalls: [],
  usage: {},
  retries: [],
  answeredBy: undefined,
  replay: undefined,
  media: [],
  hasBegun: true,
  end: { kind: "done", finishReason: "stop" },
};

Deno.test("toModelResult() leaves out what a reply does not have", async () => {
  assert.deepEqual(await toModelResult(1, PLAIN, undefined), {
    type: "model_result",
    v: 1,
    payload: { step: 1, text: "Hi", toolCalls: [], finishReason: "stop", usage: {} },
  });
});

Deno.test("toModelResult() keeps what the model made as blobs, named in the payload", async () => {
  const data = btoa("picture");
  const event = await toModelResult(2, { ...PLAIN, media: [{ mimeType: "image/png", data }] }, {
    cost: 0.25,
    isEstimate: true,
  });
  assert.ok(event.type === "model_result");
  assert.equal(event.payload.cost, 0.25);
  assert.equal(event.payload.media?.[0]?.bytes, 7);
  assert.equal(new TextDecoder().decode(event.blobs?.[0]?.content), "picture");
  assert.equal(event.blobs?.[0]?.sha256, event.payload.media?.[0]?.sha256);
});

Deno.test("toModelResult() says how a call ended that was not done", async () => {
  for (const end of [{ kind: "failed", code: "provider_timeout", message: "m" }, { kind: "aborted" }] as const) {
    const event = await toModelResult(1, { ...PLAIN, end }, undefined);
    assert.ok(event.type === "model_result");
    assert.equal(event.payload.finishReason, end.kind === "failed" ? "failed" : "cancelled");
  }
});
