import { strict as assert } from "node:assert";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { joinUrl } from "#/provider/base_url.ts";
import { openEndpoint, post } from "#/provider/endpoint.ts";
import type { ReplyReader } from "#/provider/stream.ts";

const REQUEST: ModelRequest = { model: "m", messages: [], tools: [], timeoutMs: 5_000 };
const READER: ReplyReader = {
  isComplete: true,
  read: () => [],
  finish: () => [{ type: "done", finishReason: "stop" }],
};

Deno.test("openEndpoint() posts below its base URL with the key in the protocol's header", async () => {
  const sent: Request[] = [];
  const fetch = (url: string | URL | Request, init?: RequestInit) => {
    sent.push(new Request(url, init));
    return Promise.resolve(new Response("data: [DONE]\n\n", { headers: { "content-type": "text/event-stream" } }));
  };
  const options = { name: "acme", baseUrl: "https://acme.test/", apiKey: new Secret("sk-1"), fetch };
  const endpoint = openEndpoint(options, { protocol: "anthropic", what: "message" });
  assert.equal(endpoint.baseUrl, "https://acme.test/v1");
  const url = joinUrl(endpoint.baseUrl, "/messages");
  const events: ModelEvent[] = [];
  const call = { reader: READER, open: (wire: Parameters<typeof post>[0]) => post(wire, url, { a: 1 }) };
  for await (const event of endpoint.stream(REQUEST, call, new AbortController().signal)) events.push(event);
  assert.deepEqual(events, [{ type: "done", finishReason: "stop" }]);
  assert.equal(sent[0]!.url, "https://acme.test/v1/messages");
  assert.equal(sent[0]!.headers.get("x-api-key"), "sk-1");
  assert.deepEqual(await sent[0]!.json(), { a: 1 });
});

Deno.test("openEndpoint() names itself, the place and what it serves in a failure", async () => {
  const fetch = () => Promise.resolve(new Response("{}", { status: 404 }));
  const endpoint = openEndpoint({ name: "acme", baseUrl: "https://acme.test", fetch }, {
    protocol: "gemini",
    what: "model",
  });
  const call = {
    reader: { ...READER, isComplete: false },
    open: (wire: Parameters<typeof post>[0]) => post(wire, endpoint.baseUrl, {}),
  };
  for await (const event of endpoint.stream(REQUEST, call, new AbortController().signal)) {
    assert.equal(event.type, "failed");
    assert.match(JSON.stringify(event), /acme\.test:443 has no models \(404\)\. Check base_url of acme/);
  }
});
