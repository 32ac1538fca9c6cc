import assert from "node:assert/strict";
import { ENV_NAMES, readEnvironment } from "#/config/env.ts";
import { AgentFile } from "#/config/schema.ts";
import { mergeTree, newTree, type Tree } from "#/config/tree.ts";

function read(env: Record<string, string>, files: Tree = {}) {
  const { sources, problems } = readEnvironment(AgentFile, env, files);
  const tree = sources.reduce((joined, source) => mergeTree(joined, source.tree), newTree());
  return { tree: JSON.parse(JSON.stringify(tree)), said: problems.map((p) => `${p.place}: ${p.key}: ${p.sentence}`) };
}

Deno.test("readEnvironment() gives each variable the type that the schema wants", () => {
  const { tree, said } = read({
    OXYDRA__RUNTIME__MAX_TURNS: "5",
    OXYDRA__MEMORY__RETRIEVAL__VECTOR_WEIGHT: ".5",
    OXYDRA__RELIABILITY__JITTER: "true",
    OXYDRA__TOOLS__SHELL__DENY: "rm, dd,",
    OXYDRA__SELECTION__MODEL: "123",
    HOME: "/root",
    OXYDRA_DIR: "ignored, as any other name",
  });
  assert.deepEqual(said, []);
  assert.deepEqual(tree, {
    runtime: { max_turns: 5 },
    memory: { retrieval: { vector_weight: 0.5 } },
    reliability: { jitter: true },
    tools: { shell: { deny: ["rm", "dd"] } },
    selection: { model: "123" },
  });
});

Deno.test("readEnvironment() finds an entry whatever its case and punctuation", () => {
  const env = { OXYDRA__PROVIDERS__REGISTRY__MY_PROXY__BASE_URL: "https://x.example" };
  const named = (...names: string[]) => ({
    providers: { registry: Object.fromEntries(names.map((name) => [name, { provider_type: "openai" }])) },
  });
  const keys = (files: Tree) => Object.keys(read(env, files).tree.providers.registry);
  assert.deepEqual(keys(named("my-proxy")), ["my-proxy"]);
  assert.deepEqual(keys(named("My.Proxy")), ["My.Proxy"]);
  assert.deepEqual(keys(named("my-proxy", "my.proxy")), ["my_proxy"]);
  assert.deepEqual(keys({}), ["my_proxy"]);
});

Deno.test("readEnvironment() refuses what it cannot place, and names the nearest variable", () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ OXYDRA__RUNTIME__MAX_TURN: "5" }, /nearest known one is OXYDRA__RUNTIME__MAX_TURNS$/],
    [{ OXYDRA__RUNTIM__MAX_TURNS: "5" }, /nearest known one is OXYDRA__RUNTIME$/],
    [{ OXYDRA__RUNTIME: "5" }, /names a table; add __/],
    [{ OXYDRA__: "5" }, /unknown key/],
    [{ OXYDRA____: "5" }, /unknown key/],
    [{ OXYDRA__AGENTS____MAX_TURNS: "5" }, /unknown key/],
    [{ OXYDRA__CONSTRUCTOR: "5" }, /unknown key/],
    [{ OXYDRA__AGENTS____PROTO____MAX_TURNS: "5" }, /unknown key/],
    [{ OXYDRA__MCP__SERVERS: "x" }, /in a file only/],
    [{ OXYDRA__RUNTIME__MAX_TURNS__X: "5" }, /unknown key/],
    [{ OXYDRA__RUNTIME__MAX_TURNS: "five" }, /runtime\.max_turns: expected a number, got text/],
    [{ OXYDRA__RUNTIME__MAX_TURNS: "" }, /expected a number, got text/],
    [{ OXYDRA__RUNTIME__MAX_TURNS: "0" }, /of at least 1, got 0/],
    [{ OXYDRA__RUNTIME__MAX_TURNS: "0x10" }, /expected a number, got text/],
    [{ OXYDRA__RELIABILITY__JITTER: "yes" }, /expected true or false, got text/],
    [{ OXYDRA_WEB_EGRESS_MODES: "strict" }, /nearest known one is OXYDRA_WEB_EGRESS_MODE$/],
  ];
  for (const [env, expected] of cases) {
    const { said } = read(env);
    assert.equal(said.length, 1, JSON.stringify(env));
    assert.match(said[0]!, expected);
    assert.ok(said[0]!.startsWith(Object.keys(env)[0]!));
  }
});

Deno.test("readEnvironment() obeys the reference's own names, and they win", () => {
  const { tree, said } = read({
    OXYDRA__TOOLS__WEB_SEARCH__PROVIDER: "google",
    OXYDRA_WEB_SEARCH_PROVIDER: "SearXNG",
    OXYDRA_WEB_SEARCH_SEARXNG_BASE_URL: "http://localhost:8888",
    OXYDRA_WEB_SEARCH_GOOGLE_BASE_URL: "https://other.example",
    OXYDRA_WEB_SEARCH_SEARXNG_SAFESEARCH: "2",
    OXYDRA_WEB_SEARCH_GOOGLE_API_KEY: "google-secret-value",
    OXYDRA_WEB_SEARCH_QUERY_PARAMS: " ",
    OXYDRA_WEB_EGRESS_MODE: "strict_allowlist_proxy",
    OXYDRA_WEB_EGRESS_ALLOWLIST: "localhost:8888, 10.0.0.1",
    OXYDRA_WEB_EGRESS_PROXY_URL: "http://proxy:8080",
  });
  assert.deepEqual(said, []);
  assert.deepEqual(tree.tools.web_search, {
    provider: "searxng",
    base_url: "http://localhost:8888",
    safesearch: 2,
    api_key_env: "OXYDRA_WEB_SEARCH_GOOGLE_API_KEY",
    egress_mode: "strict",
    egress_allowlist: ["localhost:8888", "10.0.0.1"],
    egress_proxy_url: "http://proxy:8080",
  });
});

Deno.test("ENV_NAMES lists every name that is read", () => {
  const names = ENV_NAMES.names.filter((name) => !name.startsWith("OXYDRA_WEB_SEARCH_DUCKDUCKGO"));
  const seen = new Set<string>();
  const env = new Proxy(Object.fromEntries(names.map((name) => [name, ""])), {
    get: (target, name) => (seen.add(String(name)), Reflect.get(target, name)),
  });
  readEnvironment(AgentFile, env, {});
  assert.deepEqual([...seen].filter((name) => !ENV_NAMES.names.includes(name)), []);
  assert.equal(ENV_NAMES.prefix, "OXYDRA__");
});
