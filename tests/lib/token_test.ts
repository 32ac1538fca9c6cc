import assert from "node:assert/strict";
import { newToken } from "#/lib/token.ts";

Deno.test("newToken() is 256 random bits that fit a URL, a header and a subprotocol", () => {
  const tokens = Array.from({ length: 100 }, newToken);
  for (const token of tokens) {
    assert.match(token, /^[\w-]{43}$/);
    assert.equal(Uint8Array.fromBase64(token, { alphabet: "base64url" }).length, 32);
  }
  assert.equal(new Set(tokens).size, tokens.length);
});
