import assert from "node:assert/strict";
import { toRemoteAddress } from "#/memory/remote_address.ts";

Deno.test("toRemoteAddress() makes each secure scheme https, and plain ones http on this machine", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["libsql://db-me.turso.io", "https://db-me.turso.io/", "db-me.turso.io:443"],
    ["LIBSQL://DB.example", "https://db.example/", "db.example:443"],
    ["wss://db.example:8443/tenant", "https://db.example:8443/tenant/", "db.example:8443"],
    ["https://db.example///", "https://db.example/", "db.example:443"],
    ["https://[2001:db8::1]:9/", "https://[2001:db8::1]:9/", "[2001:db8::1]:9"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "127.0.0.1:8080"],
    ["ws://localhost:1", "http://localhost:1/", "localhost:1"],
    ["http://[::1]:8080", "http://[::1]:8080/", "[::1]:8080"],
    ["http://127.1", "http://127.0.0.1/", "127.0.0.1:80"],
  ];
  for (const [text, url, host] of cases) {
    assert.deepEqual(toRemoteAddress(text), { url, host, name: `remote store ${host}` }, text);
  }
});

Deno.test("toRemoteAddress() refuses plain text over a network, passwords, queries and what is no address", () => {
  const bad = [
    "http://db.example",
    "ws://192.168.0.7:8080",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://0x7f000001.evil.example",
    "http://10.0.0.1",
    "https://user:pw@db.example",
    "libsql://token@db.example",
    "libsql://db.example?authToken=t",
    "libsql://db.example?tls=0",
    "https://db.example#x",
    "file:///etc/passwd",
    ":memory:",
    "libsql:",
    "libsql://",
    "db.example",
    "",
  ];
  for (const text of bad) assert.equal(toRemoteAddress(text), undefined, text);
});
