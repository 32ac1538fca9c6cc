import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { CatalogOverlay } from "#/provider/catalog_overlay.ts";
import {
  CatalogModel,
  CatalogVendor,
  checkModels,
  parseModel,
  Price,
  readCatalog,
  toCatalogText,
} from "#/provider/catalog.ts";

const MODEL = {
  id: "river-1",
  name: "River 1",
  attachment: true,
  reasoning: false,
  tool_call: true,
  modalities: { input: ["text", "image"], output: ["text"] },
  limit: { context: 1_000, output: 100 },
  cost: { input: 1, output: 2, cache_read: 0.5 },
};

function catalogOf(models: Readonly<Record<string, unknown>>, id = "acme"): string {
  return JSON.stringify({ [id]: { id, name: "Acme", models } });
}

Deno.test("CatalogModel takes models.dev's fields, leaves out what vendors add, and knows both forms of interleaved", () => {
  for (const interleaved of [true, { field: "reasoning_content" }]) {
    const parsed = CatalogModel.parse({ ...MODEL, interleaved, benchmarks: [1], provider: { npm: "x" } });
    assert.deepEqual(parsed, { ...MODEL, interleaved });
  }
  const { id, name, limit } = MODEL;
  assert.deepEqual(CatalogModel.parse({ id, name, limit }).modalities, { input: ["text"], output: ["text"] });
  for (
    const wrong of [
      { limit: { context: -1, output: 1 } },
      { limit: { context: 1e30, output: 1 } },
      { cost: { input: -1, output: 0 } },
      { cost: { input: Infinity, output: 0 } },
      { id: "" },
      { id: "x".repeat(257) },
      { modalities: { input: "text", output: [] } },
    ]
  ) {
    assert.ok(!CatalogModel.safeParse({ ...MODEL, ...wrong }).success, JSON.stringify(wrong));
  }
  assert.ok(!CatalogVendor.safeParse({ id: "a", name: "A", models: [] }).success);
});

Deno.test("Price ends where a cost could no longer be recorded, in a catalog and in the overlay", () => {
  const largest = LIMITS.priceDollarsMax;
  assert.equal(Price.input.parse(largest), largest);
  for (const output of [largest * 1.001, 1e308, -1]) {
    const cost = { input: 1, output };
    assert.ok(!CatalogModel.safeParse({ ...MODEL, cost }).success);
    assert.ok(!CatalogOverlay.safeParse({ overrides: { "acme/river-1": { cost } } }).success);
  }
});

Deno.test("readCatalog() says what is wrong, with the line, and never throws", () => {
  const cases: readonly (readonly [text: string, line: number | undefined, said: RegExp])[] = [
    ["", 1, /is empty/],
    ['{\n"a": {\n', 3, /no JSON.*cut off/],
    ['{\n"a": 1,\n]', 3, /no JSON/],
    ["[]", undefined, /expected a table of vendors/],
    ["null", undefined, /expected a table/],
    ["{}", undefined, /names no vendor/],
    ['{\n"acme": {"id": "acme", "name": "Acme",\n"models": 7}}', 3, /acme\.models: /],
    ['{\n"acme": {"id": "acme", "models": {}}}', 2, /acme\.name: /],
    ["<html>504</html>", 1, /no JSON/],
    [`${"[".repeat(100_000)}`, 1, /no JSON/],
  ];
  for (const [text, line, said] of cases) {
    const { vendors, flaws } = readCatalog(text);
    assert.deepEqual([Object.keys(vendors), flaws[0]?.line], [[], line], text.slice(0, 40));
    assert.match(flaws[0]!.sentence, said);
  }
});

Deno.test("readCatalog() keeps the vendors that fit beside one that does not", () => {
  const { vendors, flaws } = readCatalog(`{"bad": [],\n"acme":{"id":"acme","name":"Acme","models":{}}}`);
  assert.deepEqual([Object.keys(vendors), flaws.length], [["acme"], 1]);
});

Deno.test("parseModel() gives a model that is there and fits, and nothing of the table's own", () => {
  const { vendors } = readCatalog(catalogOf({ "river-1": MODEL, broken: { id: "broken" } }));
  assert.equal(parseModel(vendors, "acme", "river-1")?.name, "River 1");
  for (const [vendor, model] of [["acme", "broken"], ["acme", "toString"], ["toString", "x"], ["nobody", "river-1"]]) {
    assert.equal(parseModel(vendors, vendor!, model!), undefined);
  }
});

Deno.test("checkModels() keeps what fits and names the line of what does not, also when the key that is wrong is missing", () => {
  const text = `{"acme":{"id":"acme","name":"Acme","models":{
"river-1":${JSON.stringify(MODEL)},
"no-limit":{"id":"no-limit","name":"x"},
"bad-limit":{"id":"bad-limit","name":"x",
  "limit" :{"context":"big","output":1}}
}}}`;
  const { models, flaws } = checkModels(text, readCatalog(text).vendors);
  assert.deepEqual(Object.keys(models.acme!.models), ["river-1"]);
  assert.deepEqual(flaws.map(({ line }) => line), [3, 5]);
  assert.match(flaws[0]!.sentence, /^acme\.models\.no-limit\.limit: /);
  assert.match(flaws[1]!.sentence, /^acme\.models\.bad-limit\.limit\.context: /);
});

Deno.test("toCatalogText() is the same bytes for the same catalog, sorted, a line a model, and reads back", () => {
  const [a, b] = [{ ...MODEL, id: "a" }, { ...MODEL, id: "b" }];
  const texts = [catalogOf({ a, b }), catalogOf({ b, a })].map((text) =>
    toCatalogText(checkModels(text, readCatalog(text).vendors).models)
  );
  assert.equal(texts[0], texts[1]);
  assert.deepEqual(texts[0]!.split("\n").map((line) => line.slice(0, 12)), [
    "{",
    '"acme":{"id"',
    '"a":{"id":"a',
    '"b":{"id":"b',
    "}",
    "",
  ]);
  const { vendors, flaws } = readCatalog(texts[0]!);
  assert.deepEqual([flaws, parseModel(vendors, "acme", "b")], [[], b]);
});
