import assert from "node:assert/strict";
import { checkModels } from "#/provider/catalog.ts";
import { readSnapshot } from "#/provider/catalog_snapshot.ts";

const FILE = new URL("../../src/provider/catalog_snapshot.json", import.meta.url);

Deno.test("readSnapshot() has the vendors that people use, every model fits, and it says where it is from", async () => {
  const { source, vendors } = await readSnapshot();
  assert.equal(source.url, "https://github.com/anomalyco/models.dev");
  assert.match(source.commit, /^[0-9a-f]{40}$/);
  assert.match(source.date, /^\d{4}-\d{2}-\d{2}$/);
  assert.match(source.license, /^MIT License[^]*Permission is hereby granted/);
  assert.deepEqual(checkModels("", vendors).flaws, []);
  for (const [vendor, least] of [["openai", 40], ["anthropic", 20], ["google", 15]] as const) {
    const models = Object.values(checkModels("", vendors).models[vendor]!.models);
    assert.ok(models.length >= least, `${vendor}: ${models.length}`);
    const priced = models.filter(({ cost }) => cost !== undefined && cost.output > 0);
    assert.ok(priced.length >= models.length * 0.8, `${vendor}: ${priced.length} with a price`);
    assert.ok(models.every(({ modalities, limit }) => modalities.output.length > 0 && limit.context >= 0));
  }
});

Deno.test("the snapshot is small, sorted, and each key is its model's id", async () => {
  const text = await Deno.readTextFile(FILE);
  assert.ok(text.length < 150_000, `${text.length} bytes`);
  const { vendors } = await readSnapshot();
  assert.deepEqual(Object.keys(vendors), Object.keys(vendors).toSorted());
  for (const [id, vendor] of Object.entries(vendors)) {
    assert.equal(vendor.id, id);
    assert.deepEqual(Object.keys(vendor.models), Object.keys(vendor.models).toSorted());
    for (const [key, model] of Object.entries(vendor.models)) assert.equal((model as { id: string }).id, key);
  }
});
