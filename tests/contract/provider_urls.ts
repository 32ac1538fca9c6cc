/** Where a request goes, and what is refused before any goes out. */
import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { openProvider } from "#/provider/registry.ts";
import { findApiKey } from "#/provider/select.ts";
import type { Dialect } from "../fake/dialect.ts";
import type { FakeOpenAi } from "../fake/openai_server.ts";
import { KEY, openAgainst, saying, stream, testDialect, toRequest, toRoot } from "./dialect_kit.ts";
import { collect } from "./provider_contract.ts";
import { assertSpeakable } from "./provider_faults.ts";
import { withVendor } from "../fake/openai_server.ts";

/** Version in the path, endpoint behind it, and the query that the vendor wants. */
const SHAPES: Readonly<Record<Dialect["type"], { version: string; endpoint: string; query: string }>> = {
  openai: { version: "/v1", endpoint: "/chat/completions", query: "" },
  openai_responses: { version: "/v1", endpoint: "/responses", query: "" },
  anthropic: { version: "/v1", endpoint: "/messages", query: "" },
  gemini: { version: "/v1beta", endpoint: "/models/fake-1:streamGenerateContent", query: "alt=sse" },
};

/** Runs the table of base URLs, then the bad ones and the bad keys. */
export function testUrls(dialect: Dialect): void {
  const { version, endpoint, query } = SHAPES[dialect.type];
  // A model is no part of what a base URL may end in.
  const ownPath = endpoint.split("/fake-1")[0]!;
  const written: readonly (readonly [what: string, suffix: string, path: string])[] = [
    ["bare", "", `${version}${endpoint}`],
    ["with a slash", "/", `${version}${endpoint}`],
    ["with its version", version, `${version}${endpoint}`],
    ["with its version and a slash", `${version}/`, `${version}${endpoint}`],
    ["with another version", "/api/v4", `/api/v4${endpoint}`],
    ["with a path", "/proxy/acme", `/proxy/acme${version}${endpoint}`],
    ["with a path and its version", `/proxy/acme${version}`, `/proxy/acme${version}${endpoint}`],
    ["with a query", `${version}?tenant=a%20b`, `${version}${endpoint}?tenant=a%20b`],
    ["with a path and a query", "/proxy/?tenant=7", `/proxy${version}${endpoint}?tenant=7`],
    ["with its endpoint", `${version}${ownPath}`, `${version}${endpoint}`],
    ["with a fragment", `${version}#here`, `${version}${endpoint}`],
  ];
  for (const [what, suffix, path] of written) {
    testDialect(dialect, `stream() asks the one endpoint for a base URL ${what}`, async () => {
      await withVendor(stream(saying(dialect, [{ kind: "text", text: "Hi" }])), async (vendor) => {
        const events = await askAt(dialect, vendor, suffix);
        assert.equal(events.at(-1)?.type, "done", JSON.stringify(events));
        const join = path.includes("?") ? "&" : "?";
        // Space may be written either way.
        const seen = vendor.requests[0]!.path.replace("a+b", "a%20b");
        assert.equal(seen, query === "" ? path : `${path}${join}${query}`);
      });
    });
  }

  testDialect(dialect, "stream() sends the key in a header only, and nothing about the machine", async () => {
    await withVendor(stream(saying(dialect, [{ kind: "text", text: "Hi" }])), async (vendor) => {
      await collect(await openAgainst(dialect, vendor, { extraHeaders: { "X-Title": "Acme" } }), toRequest());
      const { headers, path, body } = vendor.requests[0]!;
      const carrying = Object.entries(headers).filter(([, value]) => value.includes(KEY)).map(([name]) => name);
      assert.equal(carrying.length, 1, carrying.join());
      assert.ok(!path.includes(KEY) && !JSON.stringify(body).includes(KEY));
      assert.equal(headers["x-title"], "Acme");
      assert.deepEqual(
        Object.keys(headers).filter((name) => /stainless|goog-api-client|runtime|^x-.*-os$/.test(name)),
        [],
      );
      assert.doesNotMatch(JSON.stringify(headers), new RegExp(`${Deno.build.os}|${Deno.build.arch}|node|\\bnpm`, "i"));
    });
  });

  testDialect(dialect, "stream() sends no key header without a key", async () => {
    await withVendor(stream(saying(dialect, [{ kind: "text", text: "Hi" }])), async (vendor) => {
      const provider = await openProvider(dialect.type, { name: "local", baseUrl: toRoot(vendor), fetch });
      assert.equal((await collect(provider, toRequest())).at(-1)?.type, "done");
      const names = Object.keys(vendor.requests[0]!.headers);
      assert.deepEqual(names.filter((name) => /^(authorization|x-api-key|x-goog-api-key)$/.test(name)), []);
    });
  });

  const bad: readonly (readonly [what: string, baseUrl: string, says: RegExp])[] = [
    ["no scheme", "api.example.com/v1", /base_url.*https:\/\//],
    ["no scheme and a port", "localhost:8080", /base_url.*https?:\/\//],
    ["another scheme", "ftp://api.example.com", /base_url.*http/],
    ["a password", "https://me:hunter2@api.example.com", /base_url.*api_key/],
    ["nothing in it", "https://", /base_url/],
  ];
  testDialect(dialect, "open() refuses a base URL that is none, saying how to write it", async () => {
    for (const [what, baseUrl, says] of bad) {
      const message = await refusal(() => openProvider(dialect.type, { name: "acme", baseUrl, fetch }), what);
      assert.match(message, says, what);
      assert.doesNotMatch(message, /hunter2/, what);
    }
  });

  testDialect(dialect, "a key with a line break is refused wherever it comes in, and never shown", async () => {
    const key = "sk-hunter2\nX-Evil: 1";
    const entry = { provider_type: dialect.type, api_key: new Secret(key) };
    assert.match(await refusal(() => findApiKey("acme", entry, {}), "entry"), /providers\.registry\.acme\.api_key/);
    const named = { provider_type: dialect.type, api_key_env: "ACME_KEY" };
    assert.match(await refusal(() => findApiKey("acme", named, { ACME_KEY: key }), "variable"), /ACME_KEY/);
    assert.match(
      await refusal(() => openProvider(dialect.type, { name: "acme", apiKey: new Secret(key), fetch }), "open"),
      /acme/,
    );
    assert.match(
      await refusal(
        () => openProvider(dialect.type, { name: "acme", extraHeaders: { "X-Key": key }, fetch }),
        "header",
      ),
      /extra_headers.*acme/,
    );
  });
}

async function askAt(dialect: Dialect, vendor: FakeOpenAi, suffix: string) {
  const baseUrl = `${toRoot(vendor)}${suffix}`;
  return await collect(await openAgainst(dialect, vendor, { baseUrl }), toRequest());
}

/** The message of what was refused as a setting. */
async function refusal(attempt: () => unknown, what: string): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "config_invalid", `${what}: ${error}`);
    assertSpeakable(error.message);
    assert.ok(!error.message.includes("hunter2"), what);
    return error.message;
  }
  return assert.fail(`${what} was taken`);
}
