import assert from "node:assert/strict";
import { ModelChoice } from "#/app/bootstrap.ts";
import { moveHosts, moveTold, toLoopback } from "#/runner/box_hosts.ts";

const MOVED = new Map([["localhost:11434", "172.30.0.1:11434"], ["127.0.0.1:1234", "172.30.0.1:40001"]]);

function choose(type: ModelChoice["type"], baseUrl?: string): ModelChoice {
  return ModelChoice.parse({ provider: "p", type, model: "m", extraHeaders: {}, reason: "", baseUrl });
}

Deno.test("toLoopback() finds what is on this machine, however it is named, and nothing else", () => {
  const hosts = ["localhost:11434", "127.0.0.1:1234", "127.9.9.9:1", "[::1]:2", "0.0.0.0:3"];
  assert.deepEqual(toLoopback([...hosts, "api.openai.com:443", "192.168.1.2:80", "localhost.example:80"]), [
    { hostname: "localhost", port: 11_434 },
    { hostname: "127.0.0.1", port: 1_234 },
    { hostname: "127.9.9.9", port: 1 },
    { hostname: "[::1]", port: 2 },
    { hostname: "0.0.0.0", port: 3 },
  ]);
  assert.deepEqual(toLoopback([]), []);
});

Deno.test("moveHosts() names what a container reaches by the name that it has there", () => {
  assert.deepEqual(moveHosts(["localhost:11434", "api.openai.com:443"], MOVED), [
    "172.30.0.1:11434",
    "api.openai.com:443",
  ]);
});

Deno.test("moveTold() moves the addresses of models, path and query included, and leaves the others", () => {
  const told = {
    model: choose("openai", "http://localhost:11434/v1"),
    fallback: [
      choose("anthropic", "http://127.0.0.1:1234/deep/v1?a=b"),
      choose("openai", "https://api.openai.com/v1"),
      choose("gemini"),
      choose("demo"),
    ],
  };
  const moved = moveTold(told, MOVED);
  assert.equal(moved.model.baseUrl, "http://172.30.0.1:11434/v1");
  assert.deepEqual(moved.fallback!.map(({ baseUrl }) => baseUrl), [
    "http://172.30.0.1:40001/deep/v1?a=b",
    "https://api.openai.com/v1",
    undefined,
    undefined,
  ]);
  assert.deepEqual(moveTold(told, new Map()), told);
});

Deno.test("moveTold() refuses what cannot work from a container, and says what can", () => {
  const tls = { model: choose("openai", "https://localhost:11434/v1") };
  assert.throws(() => moveTold(tls, MOVED), { code: "config_invalid", message: /certificate.*--tier process/ });
  const store = { model: choose("demo"), store: { url: "http://127.0.0.1:1234", token: "t" } };
  assert.throws(() => moveTold(store, MOVED), { code: "config_invalid", message: /plain text.*--tier process/ });
  const far = { model: choose("demo"), store: { url: "libsql://db.example", token: "t" } };
  assert.equal(moveTold(far, MOVED).store!.url, "libsql://db.example");
});
