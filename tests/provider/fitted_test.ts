import assert from "node:assert/strict";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { withFitted } from "#/provider/fitted.ts";
import { collect } from "../contract/provider_contract.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";

const REQUEST: ModelRequest = { model: "m", messages: [{ role: "user", content: "Hi" }], tools: [], timeoutMs: 1_000 };
const SCHEMA = { name: "answer", schema: { type: "object" } };
const DESCRIPTOR: ModelDescriptor = {
  id: "m",
  name: "M",
  contextTokens: 9,
  outputTokens: 9,
  input: ["text"],
  output: ["text"],
  toolCall: true,
  reasoning: false,
  structuredOutput: false,
  source: "test",
};

function open() {
  let warmed = 0;
  const inner = { ...scriptedProvider(says("Hello.")), warm: () => Promise.resolve(void warmed++) };
  return { inner, provider: withFitted(inner, "openai"), warmed: () => warmed };
}

Deno.test("withFitted() passes on what fits, under the same name", async () => {
  const { inner, provider, warmed } = open();
  assert.deepEqual(await collect(provider, REQUEST), says("Hello."));
  assert.deepEqual(inner.requests, [REQUEST]);
  assert.equal(provider.name, "scripted");
  await provider.warm();
  assert.equal(warmed(), 1);
});

Deno.test("withFitted() tells the person of a file that the model cannot read, then asks the model", async () => {
  const { inner, provider } = open();
  const tools = [{ name: "attachment_save", description: "D", parameters: {} }];
  const messages = [{ role: "user", content: "", attachments: [{ mimeType: "text/csv", data: "AAAA" }] }] as const;
  const events = await collect(provider, { ...REQUEST, tools, messages });
  assert.deepEqual(events.map((event) => event.type), ["notice", "text", "done"]);
  assert.match(inner.requests[0]!.messages[0]!.content, /attachment 0: text\/csv/);
});

Deno.test("withFitted() refuses before anything is sent", async () => {
  const { inner, provider } = open();
  const attachments = [{ mimeType: "text/csv", data: "AAAA" }];
  const unreadable = await collect(provider, { ...REQUEST, messages: [{ role: "user", content: "", attachments }] });
  const unheld = await collect(provider, { ...REQUEST, outputSchema: SCHEMA, descriptor: DESCRIPTOR });
  for (const [event, ...rest] of [unreadable, unheld]) {
    assert.ok(event?.type === "failed" && event.code === "provider_rejected" && !event.retryable);
    assert.match(event.message, /text\/csv|JSON schema/);
    assert.deepEqual(rest, []);
  }
  assert.equal(inner.requests.length, 0);
});

Deno.test("withFitted() asks for structured output of a model that has it, and of one that nobody knows", async () => {
  const { inner, provider } = open();
  await collect(provider, { ...REQUEST, outputSchema: SCHEMA, descriptor: { ...DESCRIPTOR, structuredOutput: true } });
  await collect(provider, { ...REQUEST, outputSchema: SCHEMA });
  assert.deepEqual(inner.requests.map((request) => request.outputSchema), [SCHEMA, SCHEMA]);
});
