import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { loadCatalog, readCatalogFiles, toCatalogPath } from "#/config/catalog_files.ts";
import { trustFile } from "#/config/trust.ts";
import { findModel } from "#/provider/describe_model.ts";
import { catalogText } from "../fixture/catalogs.ts";
import { type Machine, makeMachine } from "./layers_on_disk.ts";

const YOURS = "home/.config/oxydra/model_catalog.json";
const PROJECT = "work/.oxydra/model_catalog.json";
const OVERLAY = "home/.config/oxydra/oxydra_caps_overrides.json";

async function sourceOf(machine: Machine, model: string): Promise<string | undefined> {
  const { tiers } = await loadCatalog(await machine.load());
  return findModel(tiers, "openai", model)?.tier.place;
}

Deno.test("loadCatalog() asks the person's file, then a trusted project's, then the snapshot", async () => {
  using machine = makeMachine({
    [YOURS]: catalogText({ a: {}, "gpt-4.1": {} }),
    [PROJECT]: catalogText({ a: {}, b: {}, "gpt-4.1": {}, "gpt-4.1-mini": {} }),
  });
  await trustFile(join(machine.root, PROJECT), machine.home);
  const yours = join(machine.root, YOURS);
  assert.deepEqual(await sourceOf(machine, "a"), yours);
  assert.deepEqual(await sourceOf(machine, "gpt-4.1"), yours);
  assert.equal(await sourceOf(machine, "b"), ".oxydra/model_catalog.json");
  assert.equal(await sourceOf(machine, "gpt-4.1-mini"), ".oxydra/model_catalog.json");
  assert.match((await sourceOf(machine, "gpt-4.1-nano"))!, /^snapshot of \d{4}-/);
  machine.write(PROJECT, catalogText({ b: {}, "gpt-4.1-mini": {} }));
  assert.match((await sourceOf(machine, "gpt-4.1-mini"))!, /^snapshot/, "it changed since it was trusted");
});

Deno.test("loadCatalog() passes over a file that cannot be used, and says which and where", async () => {
  const cases: readonly (readonly [string | Uint8Array, RegExp])[] = [
    ['{"openai":{"id"', /model_catalog\.json:1: is no JSON here/],
    ["", /:1: is empty/],
    ['{"openai":\n{"id":"openai","name":"x","models":[]}}', /:2: openai\.models: /],
    [new Uint8Array([0xff, 0xfe, 0]), /is no JSON/],
    ["[1]", /expected a table of vendors/],
  ];
  for (const [content, said] of cases) {
    using machine = makeMachine({ [YOURS]: content });
    const { notes } = await loadCatalog(await machine.load());
    assert.equal(notes.length, 1);
    assert.match(notes[0]!, said);
    assert.match((await sourceOf(machine, "gpt-4.1-mini"))!, /^snapshot/);
  }
});

Deno.test("loadCatalog() reads a file of catalogBytesMax and none that is larger, no folder and no link to nowhere", async () => {
  using machine = makeMachine({ [YOURS]: catalogText({ a: {} }).padEnd(LIMITS.catalogBytesMax, " ") });
  assert.equal(await sourceOf(machine, "a"), join(machine.root, YOURS));
  machine.write(YOURS, catalogText({ a: {} }).padEnd(LIMITS.catalogBytesMax + 1, " "));
  assert.match((await loadCatalog(await machine.load())).notes.join(), /is larger than 16777216 bytes/);
  Deno.removeSync(join(machine.root, YOURS));
  Deno.mkdirSync(join(machine.root, YOURS));
  assert.match((await loadCatalog(await machine.load())).notes.join(), /is a folder/);
  Deno.removeSync(join(machine.root, YOURS));
  Deno.symlinkSync("nowhere", join(machine.root, YOURS));
  assert.match((await loadCatalog(await machine.load())).notes.join(), /a file that is not there/);
});

Deno.test("loadCatalog() obeys the person's overlay, and refuses one that is broken with the key", async () => {
  using machine = makeMachine({ [OVERLAY]: '{"overrides":{"openai/gpt-4.1":{"supports_tools":false}}}' });
  const { overlay } = await loadCatalog(await machine.load());
  assert.deepEqual(overlay.overrides["openai/gpt-4.1"], { supports_tools: false });
  const refused = async (text: string, said: RegExp) => {
    machine.write(OVERLAY, text);
    await assert.rejects(loadCatalog(await machine.load()), { code: "config_invalid", message: said });
  };
  await refused("{", /oxydra_caps_overrides\.json: is no JSON/);
  await refused(
    '{"overrides":{"openai/gpt-4.1":{"support_tools":false}}}',
    /support_tools.*nearest known key is supports_tools/,
  );
  Deno.removeSync(join(machine.root, OVERLAY));
  Deno.mkdirSync(join(machine.root, OVERLAY));
  await assert.rejects(loadCatalog(await machine.load()), /is a folder/);
});

Deno.test("readCatalogFiles() lists what is there; without a home there is no file of the person", async () => {
  using machine = makeMachine({ [PROJECT]: catalogText({ a: {} }) });
  const { places } = await machine.load();
  const [project, ...rest] = await readCatalogFiles({ ...places, home: undefined });
  assert.deepEqual([project!.place, project!.isProject, project!.trusted, rest.length], [
    ".oxydra/model_catalog.json",
    true,
    false,
    0,
  ]);
  assert.deepEqual(
    await loadCatalog({ places: { ...places, home: undefined } }).then(({ overlay }) => overlay.overrides),
    {},
  );
  assert.equal(toCatalogPath(undefined), undefined);
  assert.equal(toCatalogPath("/h"), "/h/.config/oxydra/model_catalog.json");
});
