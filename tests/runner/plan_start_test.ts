import assert from "node:assert/strict";
import { checkTier, planStart } from "#/runner/plan_start.ts";
import { makeMachine } from "../config/layers_on_disk.ts";

const PROVIDER = `[selection]
provider = "house"
model = "m-1"
[providers.registry.house]
provider_type = "openai"
base_url = "https://models.example/v1"
api_key = "sk-house"
max_output_tokens = 77
[providers.registry.house.extra_headers]
x-team = "river"
`;

Deno.test("planStart() with nothing configured is the demo: no host, no key, and it says why", async () => {
  using machine = makeMachine();
  const { model, hosts, settings, timezone } = planStart(await machine.load(), {}, []);
  assert.deepEqual([model.provider, model.type, model.model, hosts], ["demo", "demo", "demo", []]);
  assert.equal(model.apiKey, undefined);
  assert.match(model.reason, /no key is set \(OPENAI_API_KEY/);
  assert.ok(settings.turnsMax > 0 && settings.turnTimeoutMs >= 1_000);
  assert.ok(timezone.length > 0);
});

Deno.test("planStart() mentions a local model server and does not connect to it", async () => {
  using machine = makeMachine();
  const server = { label: "Ollama", baseUrl: "http://127.0.0.1:11434/v1", models: ["qwen"] };
  const { model, hosts } = planStart(await machine.load(), {}, [server]);
  assert.match(model.reason, /Ollama[^]*--model local\/qwen/);
  assert.deepEqual([model.type, hosts], ["demo", []]);
});

Deno.test("planStart() gives a key of the environment to its vendor's host alone", async () => {
  using machine = makeMachine();
  const { model, hosts } = planStart(await machine.load(), { OPENAI_API_KEY: "sk-env" }, []);
  assert.deepEqual([model.type, model.apiKey, model.apiKeySource], ["openai", "sk-env", "OPENAI_API_KEY"]);
  assert.deepEqual(hosts, ["api.openai.com:443"]);
});

Deno.test("planStart() takes address, key, headers and limits of the configured entry", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": PROVIDER });
  const { model, hosts, settings } = planStart(await machine.load(), { OPENAI_API_KEY: "sk-env" }, []);
  assert.deepEqual([model.provider, model.model, model.apiKey], ["house", "m-1", "sk-house"]);
  assert.deepEqual(model.extraHeaders, { "x-team": "river" });
  assert.deepEqual(hosts, ["models.example:443"]);
  assert.equal(settings.maxOutputTokens, 77);
});

Deno.test("planStart() never sends a person's key to the host of a cloned folder", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": PROVIDER.replace('api_key = "sk-house"\n', ""),
  });
  const loaded = await machine.load();
  assert.throws(() => planStart(loaded, { OPENAI_API_KEY: "sk-env" }, []), { code: "config_untrusted" });
});

Deno.test("planStart() refuses a selection that cannot be served", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": '[selection]\nprovider = "anthropic"\nmodel = "m"' });
  const loaded = await machine.load();
  assert.throws(() => planStart(loaded, {}, []), { code: "config_invalid" });
});

Deno.test("planStart() turns seconds and hours into milliseconds", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/agent.toml":
      "[runtime]\nmax_turns = 3\nturn_timeout_secs = 5\nmax_cost = 0.5\n[gateway]\nsession_idle_ttl_hours = 2",
  });
  const { settings } = planStart(await machine.load(), {}, []);
  assert.deepEqual(
    [settings.turnsMax, settings.turnTimeoutMs, settings.costMax, settings.sessionIdleMs],
    [3, 5_000, 0.5, 7_200_000],
  );
});

Deno.test("checkTier() lowers no wall that was asked for", () => {
  checkTier("process");
  for (const tier of ["container", "micro_vm"] as const) {
    assert.throws(() => checkTier(tier), { code: "config_invalid", message: new RegExp(`${tier}.*--tier process`) });
  }
});
