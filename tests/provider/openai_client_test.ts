import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openClient } from "#/provider/openai_client.ts";
import { ResponsesReply } from "#/provider/responses_reply.ts";
import { responds } from "../fake/responses_dialect.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";

const REQUEST: ModelRequest = { model: "m", messages: [], tools: [], timeoutMs: 5_000 };
const RESPONSES = { protocol: "openai_responses", what: "response" } as const;

Deno.test("openClient() sends what the package makes over the wire, with our headers alone", async () => {
  const vendor = await startFakeOpenAi(() => responds([{ kind: "text", text: "Hi" }]));
  const client = openClient({ name: "acme", baseUrl: vendor.url, apiKey: new Secret("sk-1"), fetch }, RESPONSES);
  assert.equal(client.baseUrl, vendor.url);
  await client.warm();
  const events = [];
  const call = {
    reader: new ResponsesReply(REQUEST, { name: "acme" }),
    send: (openai: Parameters<Parameters<typeof client.stream>[1]["send"]>[0], init: object) =>
      openai.responses.create({ model: "m", input: "U", stream: true }, init),
  };
  for await (const event of client.stream(REQUEST, call, new AbortController().signal)) events.push(event.type);
  assert.deepEqual(events, ["text", "done"]);
  const { headers, path } = vendor.requests[0]!;
  assert.deepEqual([path, headers["authorization"]], ["/v1/responses", "Bearer sk-1"]);
  assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-stainless")), []);
  await vendor.close();
});

Deno.test("openClient() refuses a base URL that is none", () => {
  assert.throws(() => openClient({ name: "acme", baseUrl: "acme.test", fetch }, RESPONSES), AppError);
});
