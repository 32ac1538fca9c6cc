import assert from "node:assert/strict";
import type { ModelDescriptor } from "#/core/model.ts";
import { readCatalog } from "#/provider/catalog.ts";
import {
  type Catalog,
  type CatalogTier,
  describeModel,
  findModel,
  type ModelQuestion,
  toDescriptor,
  toVendor,
} from "#/provider/describe_model.ts";
import { catalogText } from "../fixture/catalogs.ts";

function tierOf(
  place: string,
  models: Readonly<Record<string, object>>,
  vendor = "openai",
  priced = true,
): CatalogTier {
  return { place, priced, vendors: readCatalog(catalogText(models, vendor)).vendors };
}

const NO_OVERLAY = { provider_defaults: {}, overrides: {} };
const CATALOG: Catalog = {
  tiers: [
    tierOf("yours", { "river-2": {}, "river-1": { limit: "broken" } }),
    tierOf("snapshot", { "river-1": {}, "river-2": {}, "river-33": {} }),
  ],
  overlay: NO_OVERLAY,
};

function ask(model: string, more: Partial<ModelQuestion> = {}): ModelQuestion {
  return {
    provider: "openai",
    entry: { provider_type: "openai" },
    model,
    skip: false,
    fallbackContextTokens: 64_000,
    priced: true,
    ...more,
  };
}

function known(model: string, more: Partial<ModelQuestion> = {}, catalog = CATALOG): ModelDescriptor {
  const described = describeModel(catalog, ask(model, more));
  assert.ok(typeof described !== "string", String(described));
  return described;
}

Deno.test("describeModel() takes the first tier that has the model and fits", () => {
  assert.equal(known("river-2").source, "yours");
  assert.equal(known("river-1").source, "snapshot", "the broken one above is passed over");
  assert.equal(findModel(CATALOG.tiers, "openai", "river-9"), undefined);
});

Deno.test("describeModel() refuses a vendor's model that no catalog has, names the nearest three and what to do", () => {
  const said = describeModel(CATALOG, ask("river-4"));
  assert.match(
    said as string,
    /^openai has no model river-4 in the catalog; the nearest are river-2, river-1, river-33\./,
  );
  assert.match(said as string, /oxydra catalog fetch.*skip_catalog_validation = true/);
  assert.match(describeModel(CATALOG, ask("zzz")) as string, /see what it has: oxydra catalog show openai/);
  const entry = { provider_type: "openai", catalog_provider: "nobody" } as const;
  assert.match(describeModel(CATALOG, ask("x", { entry })) as string, /has no vendor nobody; it has openai/);
});

Deno.test("describeModel() takes any model with skip, and any of a server of one's own", () => {
  const own = { provider_type: "openai", base_url: "http://127.0.0.1:11434/v1" } as const;
  for (const more of [{ skip: true }, { provider: "local", entry: own }]) {
    const { source, contextTokens, price } = known("llama3", more);
    assert.deepEqual([source, contextTokens, price], ["synthetic", 64_000, undefined]);
  }
  const [skipped, local] = [known("x", { skip: true }), known("x", { provider: "local", entry: own })];
  assert.deepEqual([skipped.input, skipped.structuredOutput], [["text"], false]);
  assert.deepEqual([local.input.includes("image"), local.structuredOutput], [true, true], "its server decides");
  const blind = { ...own, attachment: false };
  assert.deepEqual(known("x", { provider: "local", entry: blind }).input, ["text"]);
  assert.equal(
    known("river-1", { provider: "local", entry: own }).source,
    "snapshot",
    "a proxy's are known all the same",
  );
  const routed = { ...own, catalog_provider: "openai" };
  assert.equal(typeof describeModel(CATALOG, ask("llama3", { entry: routed })), "string");
  for (const base_url of ["https://api.openai.com", "https://api.openai.com/v1/"]) {
    const entry = { provider_type: "openai", base_url } as const;
    assert.equal(typeof describeModel(CATALOG, ask("llama3", { entry })), "string", base_url);
  }
});

Deno.test("describeModel() lets vendor, model and entry change what is known, the later one winning", () => {
  const overlay = {
    provider_defaults: { openai: { max_output_tokens: 11, supports_tools: false }, local: { supports_tools: false } },
    overrides: { "openai/river-1": { max_output_tokens: 22, supports_reasoning_traces: true } },
  };
  const catalog = { ...CATALOG, overlay };
  assert.deepEqual([known("river-2", {}, catalog).outputTokens, known("river-2", {}, catalog).toolCall], [11, false]);
  assert.equal(known("river-1", {}, catalog).outputTokens, 22);
  const entry = {
    provider_type: "openai",
    max_output_tokens: 33,
    reasoning: false,
    input_modalities: ["image" as const],
  } as const;
  const { outputTokens, reasoning, input } = known(
    "river-1",
    { entry: { ...entry, input_modalities: ["image"] } },
    catalog,
  );
  assert.deepEqual([outputTokens, reasoning, input], [33, false, ["text", "image"]]);
  const local = { provider_type: "openai", base_url: "http://127.0.0.1:1" } as const;
  assert.equal(
    known("llama3", { provider: "local", entry: local }, catalog).toolCall,
    false,
    "by the entry's own name",
  );
});

Deno.test("describeModel() states no price that a stranger could have chosen", () => {
  assert.deepEqual(known("river-1").price, { input: 1, output: 2 });
  assert.equal(known("river-1", { priced: false }).price, undefined);
  const foreign = {
    ...CATALOG,
    tiers: [tierOf("cloned", { free: { cost: { input: 0, output: 0 } } }, "openai", false)],
  };
  assert.equal(known("free", {}, foreign).price, undefined);
});

Deno.test("describeModel() knows the demo without a catalog", () => {
  const { source, price } = known("demo", { entry: { provider_type: "demo" } }, { tiers: [], overlay: NO_OVERLAY });
  assert.deepEqual([source, price], ["built in", { input: 0, output: 0 }]);
});

Deno.test("toDescriptor() takes 0 for unknown, modalities that we know, and none beside text without attachments", () => {
  const tier = tierOf("t", {
    image: {
      attachment: true,
      tool_call: false,
      limit: { context: 0, input: 0, output: 0 },
      modalities: { input: ["text", "image", "smell"], output: ["image"] },
      cost: undefined,
    },
    plain: { attachment: false, modalities: { input: ["text", "image"], output: ["text"] } },
  });
  const of = (id: string) => toDescriptor(findModel([tier], "openai", id)!.model, tier);
  const image = of("image");
  assert.deepEqual([image.contextTokens, image.inputTokens, image.outputTokens], [128_000, undefined, 16_384]);
  assert.deepEqual([image.input, image.output, image.toolCall, image.price], [
    ["text", "image"],
    ["image"],
    false,
    undefined,
  ]);
  assert.deepEqual(of("plain").input, ["text"]);
});

Deno.test("toVendor() maps each type to its catalog, unless the entry names one", () => {
  const vendors = (["openai", "openai_responses", "anthropic", "gemini", "demo"] as const).map((provider_type) =>
    toVendor({ provider_type })
  );
  assert.deepEqual(vendors, ["openai", "openai", "anthropic", "google", undefined]);
  assert.equal(toVendor({ provider_type: "openai", catalog_provider: "groq" }), "groq");
});
