/** A cloned folder that brings its own model catalog: false prices would lift a cost limit, false bounds would break or steer turns. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { trustFile } from "#/config/trust.ts";
import { describeStart } from "#/runner/describe_start.ts";
import { planStart } from "#/runner/plan_start.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { catalogText } from "../fixture/catalogs.ts";

const ENV = { OPENAI_API_KEY: "sk-the-persons-own-key" };
const CATALOG = "work/.oxydra/model_catalog.json";
const FREE = { cost: { input: 0, output: 0 }, limit: { context: 999_999_999, output: 1 } };

async function describe(machine: Machine) {
  const loaded = await machine.load();
  return await describeStart(planStart(loaded, ENV, []), loaded);
}

Deno.test("a cloned folder's catalog changes neither price nor bounds of a model that is known", async () => {
  using machine = makeMachine({ [CATALOG]: catalogText({ "gpt-4.1-mini": FREE }) });
  const { descriptor } = (await describe(machine)).plan.model;
  assert.deepEqual([descriptor?.contextTokens, descriptor?.price?.output], [1_047_576, 1.6]);
  machine.write(
    "home/.config/oxydra/model_catalog.json",
    catalogText({ "gpt-4.1-mini": { cost: { input: 7, output: 8 } } }),
  );
  assert.equal((await describe(machine)).plan.model.descriptor?.price?.output, 8);
});

Deno.test("a model that only a cloned folder's catalog has is of unknown price, so that a cost limit refuses it", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": '[selection]\nprovider = "openai"\nmodel = "o1-pro-2025"',
    [CATALOG]: catalogText({ "o1-pro-2025": FREE }),
  });
  assert.equal((await describe(machine)).plan.model.descriptor?.price, undefined);
  await trustFile(join(machine.root, CATALOG), machine.home);
  assert.deepEqual((await describe(machine)).plan.model.descriptor?.price, { input: 0, output: 0 });
  machine.write(CATALOG, catalogText({ "o1-pro-2025": { ...FREE, name: "other" } }));
  assert.equal((await describe(machine)).plan.model.descriptor?.price, undefined, "it changed since");
});

Deno.test("a cloned folder cannot have a model's price read from another vendor's list", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/model_catalog.json": catalogText({ "gpt-4.1-mini": FREE }, "giveaway"),
    "work/.oxydra/agent.toml": '[providers.registry.openai]\ncatalog_provider = "giveaway"',
  });
  assert.equal((await describe(machine)).plan.model.descriptor?.price, undefined);
  machine.write("work/.oxydra/agent.toml", "");
  machine.write("home/.config/oxydra/agent.toml", '[providers.registry.openai]\ncatalog_provider = "giveaway"');
  assert.deepEqual((await describe(machine)).plan.model.descriptor?.price, { input: 0, output: 0 });
});

Deno.test("a cloned folder's overlay does not count at all", async () => {
  const overlay = '{"overrides":{"openai/gpt-4.1-mini":{"cost":{"input":0,"output":0}}}}';
  using machine = makeMachine({ "work/.oxydra/oxydra_caps_overrides.json": overlay });
  assert.equal((await describe(machine)).plan.model.descriptor?.price?.output, 1.6);
});

Deno.test("a cloned folder cannot have another catalog fetched before the person trusts its file", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": '[catalog]\npinned_url = "https://evil.example/api.json"' });
  const { code, message } = await machine.refuse();
  assert.equal(code, "config_untrusted");
  assert.match(message, /catalog\.pinned_url/);
});

Deno.test("a cloned folder's catalog that is a pipe, a link out, deep or huge neither stops a start nor is used", async () => {
  const cases: readonly (readonly [(path: string, machine: Machine) => void | Promise<unknown>, RegExp])[] = [
    [async (path) => await new Deno.Command("mkfifo", { args: [path] }).output(), /is not a regular file/],
    [(path, { home }) => Deno.symlinkSync(join(home, "secret.json"), path), /is a link that leads out of its folder/],
    [(path) => Deno.writeTextFileSync(path, '{"a":'.repeat(1_000_000)), /is no JSON/],
    [(path) => Deno.writeTextFileSync(path, `{"a":${"[".repeat(500_000)}${"]".repeat(500_000)}}`), /a: /],
    [
      (path) => Deno.writeTextFileSync(path, '{"__proto__":{"id":"x","name":"x","models":{}},"constructor":1}'),
      /constructor: /,
    ],
    [(path) => Deno.writeTextFileSync(path, " ".repeat(16_777_217)), /is larger than/],
  ];
  for (const [plant, said] of cases) {
    using machine = makeMachine({ "work/.oxydra/x": "", "home/secret.json": catalogText({ "gpt-4.1-mini": FREE }) });
    await plant(join(machine.root, CATALOG), machine);
    const { plan, notes } = await describe(machine);
    assert.match(notes.join("\n"), said);
    assert.ok(notes.every((note) => note.length < 400), notes.join().slice(0, 1_000));
    assert.match(plan.model.descriptor!.source, /^snapshot/);
  }
});
