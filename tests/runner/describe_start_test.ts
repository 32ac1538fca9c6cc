import assert from "node:assert/strict";
import type { Loaded } from "#/config/load.ts";
import { describeStart } from "#/runner/describe_start.ts";
import { isDescribed, planStart } from "#/runner/plan_start.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { catalogText } from "../fixture/catalogs.ts";

const ENV = { OPENAI_API_KEY: "sk-env" };

function describe(loaded: Loaded) {
  return describeStart(planStart(loaded, ENV, []), loaded);
}

Deno.test("describeStart() tells the guest where the model ends and what it costs", async () => {
  using machine = makeMachine();
  const { plan, notes } = await describe(await machine.load());
  const { descriptor } = plan.model;
  assert.deepEqual([descriptor?.id, descriptor?.contextTokens, descriptor?.toolCall], [
    "gpt-4.1-mini",
    1_047_576,
    true,
  ]);
  assert.deepEqual(descriptor?.price, { input: 0.4, output: 1.6, cacheRead: 0.1 });
  assert.equal(plan.settings.contextTokensMax, 1_047_576 - 32_768);
  assert.deepEqual(notes, []);
});

Deno.test("describeStart() lets the entry's own keys and the configured fallback decide", async () => {
  const entry = '[providers.registry.local]\nprovider_type = "openai"\nbase_url = "http://127.0.0.1:1"\n';
  const select = '[selection]\nprovider = "local"\nmodel = "llama3"\n';
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": select + entry });
  const contextOf = async () => (await describe(await machine.load())).plan.settings.contextTokensMax;
  assert.equal(await contextOf(), 128_000 - 16_384);
  machine.write(
    "home/.config/oxydra/agent.toml",
    `${select}${entry}max_context_tokens = 8192\nmax_output_tokens = 1024\n`,
  );
  assert.equal(await contextOf(), 8_192 - 1_024);
  machine.write("home/.config/oxydra/agent.toml", `${select}${entry}max_input_tokens = 5000\n`);
  assert.equal(await contextOf(), 5_000);
  const fallback = "[runtime.context_budget]\nfallback_max_context_tokens = 32000\n";
  machine.write("home/.config/oxydra/agent.toml", `${select}${entry}${fallback}`);
  assert.equal(await contextOf(), 32_000 - 16_000);
});

Deno.test("describeStart() names each model that no catalog has, with the line that selects it", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/agent.toml": `[selection]
provider = "openai"
model = "gpt-4.1-mni"
[agents."my.helper".selection]
provider = "openai"
model = "gpt-4o-mni"
[agents.fine.selection]
model = "gpt-4.1"
[agents.plain]
max_turns = 3
`,
  });
  const loaded = await machine.load();
  const lines = await describe(loaded).then(() => [], (error) => {
    assert.equal(error.code, "config_invalid");
    return error.message.split("\n");
  });
  assert.equal(lines.length, 2);
  assert.match(lines[0], /agent\.toml:3: selection\.model: openai has no model gpt-4\.1-mni .*gpt-4\.1-mini/);
  assert.match(lines[1], /agent\.toml:6: agents\."my\.helper"\.selection\.model: openai has no model gpt-4o-mni/);
  machine.write("home/.config/oxydra/providers.toml", "[catalog]\nskip_catalog_validation = true");
  const { plan } = await describe(await machine.load());
  assert.equal(plan.model.descriptor?.source, "synthetic");
});

Deno.test("describeStart() describes each fallback, and names the one that no catalog has", async () => {
  const list = (model: string) =>
    `[[selection.fallback]]\nprovider = "openai"\nmodel = "gpt-4.1"\n[[selection.fallback]]\nprovider = "openai"\nmodel = "${model}"\n` +
    `[[agents.a.selection.fallback]]\nprovider = "openai"\nmodel = "${model}"\n`;
  const select = '[selection]\nprovider = "openai"\nmodel = "gpt-4.1"\n';
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": select + list("o3") });
  const { fallback } = (await describe(await machine.load())).plan;
  assert.deepEqual(fallback.map(({ descriptor }) => [descriptor?.id, descriptor?.contextTokens]), [["o3", 200_000]]);
  machine.write("home/.config/oxydra/agent.toml", select + list("o33"));
  await assert.rejects(describe(await machine.load()), (error: Error) => {
    const [first, second, ...more] = error.message.split("\n");
    assert.match(first!, /agent\.toml:\d+: selection\.fallback\[1\]\.model: openai has no model o33 .*o3/);
    assert.match(second!, /agent\.toml:\d+: agents\.a\.selection\.fallback\[0\]\.model: /);
    return more.length === 0;
  });
});

Deno.test("describeStart() says where a flag or a variable selected it", async () => {
  using machine = makeMachine();
  const asked = (options: Parameters<typeof machine.load>[0]) => machine.load(options).then(describe);
  const overrides = { selection: { provider: "openai", model: "x9" } };
  await assert.rejects(asked({ overrides }), /^\w+: command line: selection\.model: openai has no model x9/);
  const env = { OXYDRA__SELECTION__MODEL: "x9" };
  await assert.rejects(asked({ env }), /^\w+: OXYDRA__SELECTION__MODEL: selection\.model: /);
});

Deno.test("describeStart() passes on which file of the catalog is not used", async () => {
  using machine = makeMachine({ "home/.config/oxydra/model_catalog.json": "{" });
  const { plan, notes } = await describe(await machine.load());
  assert.match(notes.join(), /model_catalog\.json:1: is no JSON/);
  assert.match(plan.model.descriptor!.source, /^snapshot/);
});

Deno.test("isDescribed() asks for no catalog when the demo answers, unless an agent wants another model", async () => {
  using machine = makeMachine({ "home/.config/oxydra/model_catalog.json": catalogText({ a: {} }) });
  const loaded = await machine.load();
  const demo = planStart(loaded, {}, []);
  assert.deepEqual(demo.model.descriptor?.price, { input: 0, output: 0 });
  assert.ok(isDescribed(demo, loaded));
  assert.ok(!isDescribed(planStart(loaded, ENV, []), loaded));
  machine.write("home/.config/oxydra/agent.toml", '[agents.a.selection]\nprovider = "openai"\nmodel = "b"');
  const withAgent = await machine.load();
  assert.ok(!isDescribed(planStart(withAgent, {}, []), withAgent));
  await assert.rejects(
    describeStart(planStart(withAgent, {}, []), withAgent),
    /agents\.a\.selection\.model: openai has no model b/,
  );
});
