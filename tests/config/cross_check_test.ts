import assert from "node:assert/strict";
import { crossCheck } from "#/config/cross_check.ts";
import { Config } from "#/config/schema.ts";

const said = (input: Parameters<typeof Config.parse>[0]) =>
  [...crossCheck(Config.parse(input), ["openai", "anthropic", "demo"])].map(({ path, sentence }) =>
    `${path.join(".")}: ${sentence}`
  );

Deno.test("crossCheck() accepts the defaults", () => assert.deepEqual(said({}), []));

Deno.test("crossCheck() names each rule between keys that is broken", () => {
  const agent = (tools: string[]) => ({ agents: { a: { tools } } });
  const fallback = (...names: string[]) => {
    const list = names.map((name) => ({ provider: name.split("/")[0]!, model: name.split("/")[1]! }));
    return { selection: { fallback: list } };
  };
  const telegram = (more: object) => ({ user: { channels: { telegram: { enabled: true, ...more } } } });
  const cases: [Parameters<typeof Config.parse>[0], RegExp][] = [
    [{ selection: { provider: "opena" } }, /^selection\.provider: .*the nearest is openai$/],
    [{ selection: { provider: "zzzzzz" } }, /known: openai, anthropic, demo$/],
    [{ agents: { a: { selection: { provider: "x" } } } }, /^agents\.a\.selection\.provider/],
    [fallback("opena/m"), /^selection\.fallback\.0\.provider: .*the nearest is openai$/],
    [fallback("openai/m", "openai/n", "openai/m"), /^selection\.fallback\.2\.model: openai\/m is in the list already$/],
    [{ agents: { a: fallback("openai/m", "x/m") } }, /^agents\.a\.selection\.fallback\.1\.provider/],
    [
      { ...fallback("demo/demo"), providers: { registry: { demo: { provider_type: "demo" } } } },
      /^selection\.fallback\.0\.provider: the demo is no model/,
    ],
    [{ agents: { a: { system_prompt: "x", system_prompt_file: "y" } } }, /not both$/],
    [agent(["file_red"]), /^agents\.a\.tools\.0: unknown tool; the nearest is file_read$/],
    [{ memory: { retrieval: { vector_weight: 0.5 } } }, /must sum to 1, got 0\.8$/],
    [{ memory: { remote_url: "libsql://x.example" } }, /^memory\.remote_url: needs memory\.auth_token$/],
    [{ memory: { remote_url: "libsql://x.example", auth_token: "" } }, /needs memory\.auth_token$/],
    [{ scheduler: { enabled: true }, memory: { enabled: false } }, /^scheduler\.enabled/],
    [{ reliability: { backoff_base_ms: 3000 } }, /at most backoff_max_ms, 2000$/],
    [{ tools: { web_search: { provider: "searxng" } } }, /searxng needs base_url/],
    [
      { tools: { web_search: { egress_mode: "strict", egress_proxy_url: "http://p:1" } } },
      /strict needs egress_allowlist$/,
    ],
    [{ tools: { web_search: { egress_mode: "strict", egress_allowlist: ["a"] } } }, /strict needs egress_proxy_url$/],
    [{ runner: { web: { auth_mode: "token" } } }, /token needs auth_token_env or auth_token$/],
    [telegram({ senders: [{ platform_ids: ["1"] }] }), /needs bot_token_env$/],
    [telegram({ bot_token_env: "T" }), /at least one/],
  ];
  for (const [input, expected] of cases) {
    const lines = said(input);
    assert.equal(lines.length, 1, `${JSON.stringify(input)}: ${lines}`);
    assert.match(lines[0]!, expected);
  }
});

Deno.test("crossCheck() lets an agent name a tool of a configured MCP server", () => {
  const server = { name: "github", transport: "stdio" as const, command: "x" };
  assert.deepEqual(said({ mcp: { servers: [server] }, agents: { a: { tools: ["github_search"] } } }), []);
  assert.deepEqual(said({ memory: { enabled: false, remote_url: "libsql://x.example" } }), []);
});
