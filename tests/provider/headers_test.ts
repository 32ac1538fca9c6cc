import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { toAuth, toHeaders } from "#/provider/headers.ts";

Deno.test("toAuth() sends a key as each protocol takes it, and none where there is none", () => {
  const key = new Secret("sk-1");
  const version = { "anthropic-version": "2023-06-01" };
  assert.deepEqual(toAuth("openai", key), { authorization: "Bearer sk-1" });
  assert.deepEqual(toAuth("openai_responses", key), { authorization: "Bearer sk-1" });
  assert.deepEqual(toAuth("anthropic", key), { ...version, "x-api-key": "sk-1" });
  assert.deepEqual(toAuth("gemini", key), { "x-goog-api-key": "sk-1" });
  assert.deepEqual(toAuth("openai", undefined), {});
  assert.deepEqual(toAuth("anthropic", undefined), version);
});

Deno.test("toHeaders() lets the entry's headers win, whatever their case", () => {
  const options = { name: "acme", extraHeaders: { "X-Api-Key": "mine", "X-Title": "t" } };
  assert.deepEqual(toHeaders(options, { "x-api-key": "vendor's" }), { "x-api-key": "mine", "x-title": "t" });
});

Deno.test("toHeaders() refuses what HTTP cannot carry, without showing it", () => {
  for (const value of ["hunter2\nX-Evil: 1", "hunter2 ключ", "hunter2\0"]) {
    for (const [own, extraHeaders] of [[{ key: value }, {}], [{}, { key: value }]] as const) {
      assert.throws(() => toHeaders({ name: "acme", extraHeaders }, own), (error) => {
        return error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2");
      });
    }
  }
});
