import assert from "node:assert/strict";
import { MemoryConfig, RetrievalConfig } from "#/memory/config.ts";

Deno.test("MemoryConfig is on by default and keeps its token unprintable", () => {
  const memory = MemoryConfig.parse({ remote_url: "libsql://x.turso.io", auth_token: "t0ken" });
  assert.equal(memory.enabled, true);
  assert.equal(memory.auth_token?.reveal(), "t0ken");
  assert.doesNotMatch(JSON.stringify(memory), /t0ken/);
  assert.ok(!MemoryConfig.safeParse({ remote_url: "file:///etc/passwd" }).success);
  assert.ok(!MemoryConfig.safeParse({ embedding_backend: "openai" }).success);
});

Deno.test("RetrievalConfig bounds each weight", () => {
  assert.deepEqual(RetrievalConfig.parse({}), { top_k: 8, vector_weight: 0.7, fts_weight: 0.3 });
  assert.ok(!RetrievalConfig.safeParse({ vector_weight: 1.01 }).success);
  assert.ok(!RetrievalConfig.safeParse({ top_k: 0 }).success);
});
