import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { toBearer, toHeaders } from "#/provider/headers.ts";

Deno.test("toBearer() makes an Authorization header of a key, and nothing without one", () => {
  assert.deepEqual(toBearer(new Secret("sk-1")), { authorization: "Bearer sk-1" });
  assert.deepEqual(toBearer(undefined), {});
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
