import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { normalizeBaseUrl, toHost, toNetTarget } from "#/provider/base_url.ts";

const CASES: readonly (readonly [given: string, normalized: string])[] = [
  ["https://api.openai.com", "https://api.openai.com/v1"],
  ["https://api.openai.com/", "https://api.openai.com/v1"],
  ["https://api.openai.com/v1", "https://api.openai.com/v1"],
  ["https://api.openai.com/v1/", "https://api.openai.com/v1"],
  ["https://api.openai.com//v1//", "https://api.openai.com//v1"],
  ["  https://api.openai.com/v1\n", "https://api.openai.com/v1"],
  ["HTTPS://API.OpenAI.com/v1", "https://api.openai.com/v1"],
  ["http://localhost:11434", "http://localhost:11434/v1"],
  ["http://[::1]:8080/", "http://[::1]:8080/v1"],
  ["https://openrouter.ai/api", "https://openrouter.ai/api/v1"],
  ["https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"],
  [
    "https://generativelanguage.googleapis.com/v1beta/openai/",
    "https://generativelanguage.googleapis.com/v1beta/openai",
  ],
  ["https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"],
  ["https://host/proxy/v2", "https://host/proxy/v2"],
  ["https://host/vault", "https://host/vault/v1"],
  ["https://host/v1x/y", "https://host/v1x/y"],
  ["https://host/v1?key=a%20b", "https://host/v1?key=a%20b"],
  ["https://host?api-version=2024-10-21", "https://host/v1?api-version=2024-10-21"],
  [
    "https://me.openai.azure.com/openai/deployments/gpt/?api-version=1",
    "https://me.openai.azure.com/openai/deployments/gpt?api-version=1",
  ],
  ["https://models.github.ai/inference/chat/completions", "https://models.github.ai/inference"],
  ["https://host/v1/chat/completions/", "https://host/v1"],
  ["https://host/v1#part", "https://host/v1"],
];

Deno.test("normalizeBaseUrl() knows every way to write the same endpoint", () => {
  for (const [given, normalized] of CASES) assert.equal(normalizeBaseUrl(given, "openai"), normalized, given);
});

Deno.test("normalizeBaseUrl() changes nothing the second time, unless the path was an exact endpoint", () => {
  for (const [given, normalized] of CASES) {
    if (!given.includes("inference")) assert.equal(normalizeBaseUrl(normalized, "openai"), normalized);
  }
});

Deno.test("normalizeBaseUrl() refuses what is no http URL and never repeats a password", () => {
  for (
    const bad of [
      "",
      "api.openai.com",
      "localhost:11434",
      "ftp://host/v1",
      "file:///v1",
      "https://",
      "https://me:hunter2@host/v1",
    ]
  ) {
    assert.throws(() => normalizeBaseUrl(bad, "openai"), (error) => {
      return error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2");
    }, bad);
  }
});

Deno.test("toNetTarget() names host and port as --allow-net wants them", () => {
  assert.equal(toNetTarget("https://api.openai.com/v1"), "api.openai.com:443");
  assert.equal(toNetTarget("http://host/v1"), "host:80");
  assert.equal(toNetTarget("http://127.0.0.1:11434/v1?x=1"), "127.0.0.1:11434");
  assert.equal(toNetTarget("http://[::1]:8080/v1"), "[::1]:8080");
});

Deno.test("toHost() is the vendor's own without a base URL, and the written one's with it", () => {
  assert.equal(toHost(undefined, "anthropic"), "api.anthropic.com:443");
  assert.equal(toHost("http://127.0.0.1:8000/v1/", "openai"), "127.0.0.1:8000");
});
