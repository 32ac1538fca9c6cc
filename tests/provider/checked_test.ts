import assert from "node:assert/strict";
import type { ModelRequest } from "#/core/provider.ts";
import { checked } from "#/provider/checked.ts";
import { collect } from "../contract/provider_contract.ts";
import { scriptedProvider } from "../fake/scripted_provider.ts";

Deno.test("checked() refuses what the wire format cannot carry, and sends back only what this address made", async () => {
  const inner = scriptedProvider([{ type: "text", text: "ok" }]);
  const provider = checked({ ...inner, warm: () => Promise.resolve() }, "openai", "http://one.test/v1");
  const base = { model: "m", tools: [], timeoutMs: 1_000 };
  const video = [{ mimeType: "video/x-unknown", data: "AAAA" }];
  const refused: ModelRequest = { ...base, messages: [{ role: "user", content: "", attachments: video }] };
  const [event] = await collect(provider, refused);
  assert.ok(event?.type === "failed" && event.code === "provider_rejected");
  assert.equal(inner.requests.length, 0);
  const replay = (at: string) => ({ provider: inner.name, model: "m", at, data: at });
  const said = ["one.test:80", "two.test:80"].map((at) => {
    return { role: "assistant" as const, content: at, toolCalls: [], replay: replay(at) };
  });
  await collect(provider, { ...base, messages: [{ role: "user", content: "hi" }, ...said] });
  const sent = JSON.stringify(inner.requests[0]!.messages);
  assert.ok(sent.includes('"data":"one.test:80"') && !sent.includes('"data":"two.test:80"'), sent);
});
