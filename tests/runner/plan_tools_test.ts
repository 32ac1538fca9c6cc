import assert from "node:assert/strict";
import { AgentFile, Config } from "#/config/schema.ts";
import type { Capability, Decision } from "#/core/capability.ts";
import { planTools } from "#/runner/plan_tools.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { openSecrets } from "#/sandbox/secrets.ts";
import { toTools } from "#/tools/registry.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";

/** The plan of an agent.toml with this in it. */
function planOf(agent: unknown, env: Readonly<Record<string, string>> = {}) {
  return planTools({ ...Config.parse({}), ...AgentFile.parse(agent) } as Config, env);
}
const search = (web_search: object, env?: Readonly<Record<string, string>>) => planOf({ tools: { web_search } }, env);

const GOOGLE = { provider: "google", api_key_env: "G_KEY", engine_id_env: "G_CX" };
const ENV = { G_KEY: "  google-key-4711\n", G_CX: "engine:1", OTHER: "other-value-1", EMPTY: " " };

/** What policy says to a web_search of this plan, and to any other needs of it. */
async function decide(
  plan: ReturnType<typeof planTools>,
  options: { needs?: readonly Capability[]; tool?: string; isPrivate?: boolean } = {},
): Promise<Decision> {
  const { tool = "web_search", isPrivate = false } = options;
  const { needs = toTools(plan.settings).get("web_search")!.needs({ query: "q" }) } = options;
  const policy = await openPolicy([...plan.rules, DEFAULT_POLICY]);
  return policy.decide({
    principal: { user: "default", agent: [], origin: "channel" },
    tool: { name: tool, package: "web", version: "1", sha256: "0" },
    needs,
    isPrivate,
    now: 0,
    timeoutMs: 1,
    grantId: "g",
  });
}

Deno.test("planTools() of an empty configuration has no secret, no value of the person's and no way inside", () => {
  const plan = planOf({});
  assert.deepEqual([plan.secrets, plan.egress], [[], { allowlist: [], mode: "default" }]);
  assert.deepEqual([...plan.values], [["web_search.provider", "duckduckgo"]]);
  assert.equal(plan.settings.attachmentSaveSecs, 60);
  assert.equal(toTools(plan.settings).get("attachment_save")!.timeoutMs, 60_000);
  assert.deepEqual(NO_TOOLS_PLAN.egress, plan.egress);
  assert.deepEqual([NO_TOOLS_PLAN.secrets, NO_TOOLS_PLAN.rules, NO_TOOLS_PLAN.values.size], [[], [], 0]);
});

Deno.test("planTools() makes google's key of the environment a secret for google's host alone, and no value", () => {
  const plan = search(GOOGLE, ENV);
  assert.deepEqual(plan.secrets.map(({ value, ...rest }) => [rest, value.reveal()]), [
    [{ name: "web_search", hosts: ["www.googleapis.com"], isPrivate: false }, "google-key-4711"],
  ]);
  assert.deepEqual([...plan.values], [["web_search.provider", "google"], ["web_search.engine_id", "engine:1"]]);
  assert.ok(!JSON.stringify([plan, [...plan.values]]).includes("4711"), "a secret does not print");
  const own = search({ ...GOOGLE, base_url: "http://127.0.0.1:8080/cse", base_urls: "https://b.example/x" }, ENV);
  assert.deepEqual(own.secrets[0]!.hosts, ["127.0.0.1", "b.example"]);
  assert.equal(openSecrets(own.secrets).spend("web_search", "b.example").reveal(), "google-key-4711");
  for (const provider of ["duckduckgo", "searxng"]) {
    assert.deepEqual(search({ ...GOOGLE, provider }, ENV).secrets, [], "nobody else is given it");
  }
});

Deno.test("planTools() leaves out a secret whose variable is not set or blank: what spends it is denied", () => {
  for (const env of [{}, { G_KEY: "" }, { G_KEY: " \n" }]) assert.deepEqual(search(GOOGLE, env).secrets, []);
  assert.deepEqual(search({ provider: "google" }, ENV).secrets, []);
  assert.throws(() => openSecrets(search(GOOGLE, {}).secrets).spend("web_search", "www.googleapis.com"), {
    code: "secret_denied",
  });
  assert.deepEqual([...search(GOOGLE, {}).values], [["web_search.provider", "google"]]);
  // Only a name of the environment's own: no property that every object has.
  const inherited = search({ ...GOOGLE, api_key_env: "toString", engine_id_env: "constructor" }, {});
  assert.deepEqual([inherited.secrets, inherited.values.size], [[], 1]);
});

Deno.test("planTools() takes secrets of the person, private unless said, and no other variable of the environment", () => {
  const plan = planOf({
    secrets: {
      api: { env: "OTHER", hosts: ["API.example", "b.example"] },
      open: { env: "G_KEY", hosts: ["c.example"], private: false },
      gone: { env: "EMPTY", hosts: ["c.example"] },
    },
  }, ENV);
  assert.deepEqual(plan.secrets.map(({ value, ...rest }) => [rest, value.reveal()]), [
    [{ name: "api", hosts: ["API.example", "b.example"], isPrivate: true }, "other-value-1"],
    [{ name: "open", hosts: ["c.example"], isPrivate: false }, "google-key-4711"],
  ]);
  const secrets = openSecrets(plan.secrets);
  assert.deepEqual([secrets.isPrivate("api"), secrets.isPrivate("open"), secrets.isPrivate("gone")], [
    true,
    false,
    true,
  ]);
});

Deno.test("planTools() does not let a secret take the name of web_search's own key", () => {
  const secrets = { web_search: { env: "OTHER", hosts: ["evil.example"] } };
  for (const web_search of [GOOGLE, {}]) {
    assert.throws(() => planOf({ secrets, tools: { web_search } }, ENV), {
      code: "config_invalid",
      message: "secrets.web_search: is the name of web_search's own key",
    });
  }
});

Deno.test("planTools() allows web_search the hosts that the person configured, and that tool alone", async () => {
  const table: [object, string[]][] = [
    [{}, ["html.duckduckgo.com"]],
    [GOOGLE, ["www.googleapis.com"]],
    [{ provider: "searxng", base_url: "http://127.0.0.1:8888/sx", base_urls: "https://s.example" }, [
      "127.0.0.1",
      "s.example",
    ]],
  ];
  for (const [config, hosts] of table) {
    const plan = search(config, ENV);
    const decision = await decide(plan);
    assert.equal(decision.kind, "granted", JSON.stringify(decision));
    const needs = toTools(plan.settings).get("web_search")!.needs({ query: "q" });
    const named = needs.flatMap((need) => need.kind === "http" ? [need.host] : []);
    assert.deepEqual(named, hosts);
    assert.equal((await decide(plan, { isPrivate: true })).kind, "granted", "DESIGN: allowed, whatever was read");
  }
  const plan = search({ provider: "searxng", base_url: "http://127.0.0.1:8888/" });
  const needs = toTools(plan.settings).get("web_search")!.needs({ query: "q" });
  assert.equal((await decide(plan, { needs, tool: "web_fetch" })).kind, "ask", "a port that is not the web's");
  const two = search({ provider: "searxng", base_url: "http://a.example:8888/", base_urls: "https://b.example:9999" });
  const crossed = needs.map((need) => need.kind === "http" ? { ...need, host: "b.example", port: 8888 } : need);
  assert.equal((await decide(two, { needs: crossed })).kind, "ask", "the port of the other host");
  const posting = needs.map((need) => need.kind === "http" ? { ...need, methods: ["POST"] as const } : need);
  assert.equal((await decide(plan, { needs: posting })).kind, "ask");
  const elsewhere = needs.map((need) => need.kind === "http" ? { ...need, host: "10.0.0.1" } : need);
  assert.equal((await decide(plan, { needs: elsewhere })).kind, "ask");
  const key: Capability = { kind: "secret", name: "web_search", hosts: ["www.googleapis.com", "evil.example"] };
  assert.equal((await decide(search(GOOGLE, ENV), { needs: [key] })).kind, "ask", "every host of it has to be theirs");
  const other: Capability = { kind: "secret", name: "api", hosts: ["www.googleapis.com"] };
  assert.equal((await decide(search(GOOGLE, ENV), { needs: [other] })).kind, "ask");
});

Deno.test("planTools() has no rule where there is no host, and puts the person's rules before its own", async () => {
  const none = search({ provider: "searxng" });
  assert.deepEqual(none.rules, [[], []]);
  const rule = { id: "mine", kinds: ["http"], hosts: ["html.duckduckgo.com"], effect: "deny" };
  const plan = planOf({ policy: { rules: [rule] } });
  assert.deepEqual(plan.rules[0], [rule]);
  assert.equal((await decide(plan)).kind, "denied");
});

Deno.test("planTools() hands egress its settings as they are, and components what they may read", () => {
  const plan = search({
    provider: "searxng",
    base_url: "http://s.example/",
    query_params: "theme=simple&x=1",
    engines: "ddg,brave",
    categories: "it",
    safesearch: 0,
    egress_allowlist: ["s.example", "127.0.0.1:8888"],
    egress_mode: "strict",
    egress_proxy_url: "http://127.0.0.1:3128",
    api_key_env: "G_KEY",
  }, ENV);
  assert.deepEqual(plan.egress, {
    allowlist: ["s.example", "127.0.0.1:8888"],
    mode: "strict",
    proxyUrl: "http://127.0.0.1:3128",
  });
  assert.deepEqual(Object.fromEntries(plan.values), {
    "web_search.provider": "searxng",
    "web_search.base_url": "http://s.example/",
    "web_search.query_params": "theme=simple&x=1",
    "web_search.engines": "ddg,brave",
    "web_search.categories": "it",
    "web_search.safesearch": "0",
  });
});
