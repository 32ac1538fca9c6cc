import assert from "node:assert/strict";
import { MemoryConfig, RetrievalConfig, toRemoteStore } from "#/memory/config.ts";

Deno.test("MemoryConfig is on by default and keeps its token unprintable", () => {
  const memory = MemoryConfig.parse({ remote_url: "libsql://x.turso.io", auth_token: "t0ken" });
  assert.equal(memory.enabled, true);
  assert.equal(memory.auth_token?.reveal(), "t0ken");
  assert.doesNotMatch(JSON.stringify(memory), /t0ken/);
  assert.ok(!MemoryConfig.safeParse({ remote_url: "file:///etc/passwd" }).success);
  assert.ok(!MemoryConfig.safeParse({ embedding_backend: "openai" }).success);
});

Deno.test("MemoryConfig refuses an address that would carry the token in plain text or hold a secret", () => {
  for (
    const remote_url of ["http://db.example", "ws://10.0.0.1:1", "libsql://u:p@x.io", "libsql://x.io?authToken=t", ""]
  ) {
    const { error } = MemoryConfig.safeParse({ remote_url, auth_token: "t" });
    assert.match(error?.issues[0]?.message ?? "", /must/, remote_url);
  }
  assert.ok(MemoryConfig.safeParse({ remote_url: "http://127.0.0.1:8080", auth_token: "t" }).success);
});

Deno.test("toRemoteStore() is where the event log is kept, and nothing for a file", () => {
  const remote = { remote_url: "libsql://x.turso.io", auth_token: "t0ken" };
  const store = toRemoteStore(MemoryConfig.parse(remote))!;
  assert.deepEqual([store.url, store.address.host, store.token.reveal()], [
    remote.remote_url,
    "x.turso.io:443",
    "t0ken",
  ]);
  for (const none of [{}, { ...remote, enabled: false }, { auth_token: "t" }, { remote_url: remote.remote_url }]) {
    assert.equal(toRemoteStore(MemoryConfig.parse(none)), undefined);
  }
});

Deno.test("RetrievalConfig bounds each weight", () => {
  assert.deepEqual(RetrievalConfig.parse({}), { top_k: 8, vector_weight: 0.7, fts_weight: 0.3 });
  assert.ok(!RetrievalConfig.safeParse({ vector_weight: 1.01 }).success);
  assert.ok(!RetrievalConfig.safeParse({ top_k: 0 }).success);
});
