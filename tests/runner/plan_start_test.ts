import assert from "node:assert/strict";
import { GuestSettings } from "#/app/bootstrap.ts";
import { planStart, toBoxSettings, toModelHosts } from "#/runner/plan_start.ts";
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
  assert.match(model.reason, /no key is in the environment/);
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

Deno.test("planStart() opens the host of a remote store, and gives its token to the guest alone", async () => {
  const memory = '[memory]\nremote_url = "libsql://db.example"\nauth_token = "hush"\n';
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": `${PROVIDER}${memory}` });
  const plan = planStart(await machine.load(), {}, []);
  assert.deepEqual(plan.hosts, ["models.example:443", "db.example:443"]);
  assert.deepEqual([plan.store?.url, plan.store?.token.reveal()], ["libsql://db.example", "hush"]);
  assert.doesNotMatch(JSON.stringify(plan), /hush/);
  machine.write("home/.config/oxydra/agent.toml", `${PROVIDER}${memory}enabled = false\n`);
  const off = planStart(await machine.load(), {}, []);
  assert.deepEqual([off.hosts, off.store], [["models.example:443"], undefined]);
});

const BACKUP = `[[selection.fallback]]
provider = "backup"
model = "m-2"
[[selection.fallback]]
provider = "openai"
model = "m-3"
[reliability]
attempt_timeout_secs = 7
cooldown_secs = 9
[providers.registry.backup]
provider_type = "openai"
base_url = "http://10.0.0.9:8000"
api_key_env = "BACKUP_KEY"
max_output_tokens = 5
`;

Deno.test("planStart() gives a fallback its own address, key and limit, and names it", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": PROVIDER + BACKUP });
  const env = { OPENAI_API_KEY: "sk-env", BACKUP_KEY: "sk-backup" };
  const { model, fallback, hosts, settings } = planStart(await machine.load(), env, []);
  assert.deepEqual(
    fallback.map((one) => [one.provider, one.model, one.apiKey, one.apiKeySource, one.maxOutputTokens]),
    [["backup", "m-2", "sk-backup", "BACKUP_KEY", 5], ["openai", "m-3", "sk-env", "OPENAI_API_KEY", undefined]],
  );
  assert.deepEqual(fallback.map(({ extraHeaders }) => extraHeaders), [{}, {}]);
  assert.deepEqual(hosts, ["models.example:443", "10.0.0.9:8000", "api.openai.com:443"]);
  assert.deepEqual([model, ...fallback].flatMap(toModelHosts), hosts);
  assert.match(model.reason, /\nWhen it cannot answer: backup\/m-2, then openai\/m-3\.$/);
  assert.deepEqual([settings.attemptTimeoutMs, settings.cooldownMs], [7_000, 9_000]);
});

Deno.test("planStart() leaves out a fallback that is chosen already, and all of them beside the demo", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": PROVIDER + BACKUP });
  const env = { OPENAI_API_KEY: "sk-env", BACKUP_KEY: "sk-backup" };
  const chosen = await machine.load({ overrides: { selection: { provider: "backup", model: "m-2" } } });
  assert.deepEqual(planStart(chosen, env, []).fallback.map(({ provider }) => provider), ["openai"]);
  const demo = await machine.load({ overrides: { selection: { provider: "demo", model: "demo" } } });
  const { fallback, hosts, model } = planStart(demo, env, []);
  assert.deepEqual([fallback, hosts], [[], []]);
  assert.deepEqual(toModelHosts(model), []);
});

Deno.test("planStart() refuses a fallback that could not be asked", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": PROVIDER + BACKUP });
  const loaded = await machine.load();
  assert.throws(() => planStart(loaded, {}, []), {
    code: "config_invalid",
    message: /^selection\.fallback: provider "openai" has no API key: export OPENAI_API_KEY/,
  });
});

Deno.test("planStart() refuses a selection that cannot be served", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": '[selection]\nprovider = "anthropic"\nmodel = "m"' });
  const loaded = await machine.load();
  assert.throws(() => planStart(loaded, {}, []), { code: "config_invalid" });
});

Deno.test("planStart() turns seconds and hours into milliseconds", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/agent.toml":
      "[runtime]\nmax_turns = 3\nturn_timeout_secs = 5\nmax_cost = 0.5\nmax_cost_per_day = 2\n[gateway]\nsession_idle_ttl_hours = 2",
  });
  const { settings } = planStart(await machine.load(), {}, []);
  assert.deepEqual(
    [settings.turnsMax, settings.turnTimeoutMs, settings.costMax, settings.costPerDayMax, settings.sessionIdleMs],
    [3, 5_000, 0.5, 2, 7_200_000],
  );
});

Deno.test("planStart() says when the window is summarised", async () => {
  const text =
    "[runtime.context_budget]\ntrigger_ratio = 0.7\n[runtime.summarization]\ntarget_ratio = 0.3\nmin_turns = 2";
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": text });
  const { settings } = planStart(await machine.load(), {}, []);
  assert.deepEqual(settings.summary, { triggerRatio: 0.7, targetRatio: 0.3, minTurns: 2 });
  assert.deepEqual(GuestSettings.parse(settings), settings);
});

Deno.test("toBoxSettings() makes no container for a process, and of the others what the person set", async () => {
  const text = "[resources]\nmax_vcpus = 2\nmax_memory_mib = 512\nmax_processes = 99\n";
  const runner = `[guest_images]\noxydra_vm = "mine:1"\n[users.ann]\nconfig_path = "ann.toml"\n`;
  using machine = makeMachine({ "home/.config/oxydra/runner.toml": runner, "home/.config/oxydra/ann.toml": text });
  const { config } = await machine.load({ user: "ann" });
  assert.equal(toBoxSettings(config, "process"), undefined);
  for (const tier of ["container", "micro_vm"] as const) {
    const limits = { cpusMax: 2, memoryMibMax: 512, processesMax: 99 };
    assert.deepEqual(toBoxSettings(config, tier), { tier, image: "mine:1", ...limits });
  }
  using plain = makeMachine({});
  const { config: defaults } = await plain.load();
  assert.deepEqual(toBoxSettings(defaults, "container"), { tier: "container", image: "oxydra-vm:latest" });
});
