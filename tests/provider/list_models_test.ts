import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import type { Protocol } from "#/provider/base_url.ts";
import { listModels } from "#/provider/list_models.ts";

const KEY = "sk-list-1234567890";

/** What an endpoint was asked, and what a list came to. */
async function ask(protocol: Protocol, answer: (request: Request) => Response) {
  const asked: { url: URL; headers: Headers }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push({ url: new URL(request.url), headers: request.headers });
    return answer(request);
  });
  try {
    const options = { name: "acme", baseUrl: `http://127.0.0.1:${server.addr.port}`, apiKey: new Secret(KEY), fetch };
    const result = await listModels(protocol, options, AbortSignal.timeout(5_000)).catch((error) => error);
    return { asked, result };
  } finally {
    await server.shutdown();
  }
}

Deno.test("listModels() asks each protocol as it wants to be asked, the key in a header", async () => {
  const openai = await ask("openai", () => Response.json({ data: [{ id: "b", object: "model" }, { id: "a" }] }));
  assert.deepEqual(openai.result, ["b", "a"]);
  assert.equal(openai.asked[0]!.url.pathname, "/v1/models");
  assert.equal(openai.asked[0]!.headers.get("authorization"), `Bearer ${KEY}`);
  const anthropic = await ask(
    "anthropic",
    () => Response.json({ data: [{ id: "c", type: "model" }], has_more: false }),
  );
  assert.deepEqual(anthropic.result, ["c"]);
  assert.equal(anthropic.asked[0]!.url.href.endsWith("/v1/models?limit=1000"), true);
  assert.equal(anthropic.asked[0]!.headers.get("x-api-key"), KEY);
  const gemini = await ask("gemini", () =>
    Response.json({
      models: [
        { name: "models/g", supportedGenerationMethods: ["generateContent", "countTokens"] },
        { name: "models/e", supportedGenerationMethods: ["embedContent"] },
        { name: "models/h" },
      ],
    }));
  assert.deepEqual(gemini.result, ["g", "h"]);
  assert.equal(gemini.asked[0]!.url.pathname, "/v1beta/models");
  assert.equal(gemini.asked[0]!.headers.get("x-goog-api-key"), KEY);
  assert.ok(!gemini.asked[0]!.url.href.includes(KEY));
});

Deno.test("listModels() says what is wrong, and never the key", async () => {
  const long = "x".repeat(LIMITS.modelListBytesMax + 1);
  const cases: readonly (readonly [string, () => Response])[] = [
    ["provider_auth", () => Response.json({ error: { message: `bad key ${KEY}` } }, { status: 401 })],
    ["provider_protocol", () => new Response("<html>")],
    ["provider_protocol", () => Response.json({ data: "none" })],
    ["provider_protocol", () => new Response(long)],
    ["provider_protocol", () => Response.redirect("http://127.0.0.1:1/", 302)],
    ["provider_unavailable", () => new Response("down", { status: 503 })],
    ["provider_rejected", () => new Response("nothing here", { status: 404 })],
  ];
  for (const [code, answer] of cases) {
    const { result } = await ask("openai", answer);
    assert.ok(result instanceof AppError, String(result));
    assert.equal(result.code, code);
    assert.ok(!result.message.includes(KEY), result.message);
  }
});

Deno.test("listModels() says that nobody listens", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const options = { name: "acme", baseUrl: `http://127.0.0.1:${closed.addr.port}`, fetch };
  await assert.rejects(listModels("openai", options, AbortSignal.timeout(5_000)), /connection refused/);
});
