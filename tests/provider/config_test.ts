import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import {
  CatalogConfig,
  DEFAULT_REGISTRY,
  Fallback,
  ProviderEntry,
  ProvidersConfig,
  ReliabilityConfig,
  Selection,
} from "#/provider/config.ts";
import { ProviderType, ReasoningEffort } from "#/provider/type.ts";

Deno.test("ProviderEntry wraps keys and header values, and needs its type only", () => {
  const entry = ProviderEntry.parse({ provider_type: "openai", api_key: "k", extra_headers: { "X-A": "v" } });
  assert.equal(entry.api_key?.reveal(), "k");
  assert.equal(entry.extra_headers?.["X-A"]?.reveal(), "v");
  assert.equal(JSON.stringify(entry).includes('"k"'), false);
  assert.ok(!ProviderEntry.safeParse({}).success);
  assert.ok(!ProviderEntry.safeParse({ provider_type: "openai", base_url: "https://u:p@x" }).success);
  assert.ok(!ProviderEntry.safeParse({ provider_type: "openai", extra_headers: { "A\nB": "v" } }).success);
  assert.ok(!ProviderEntry.safeParse({ provider_type: "openai", extra_headers: { A: "v\r\nB: c" } }).success);
});

Deno.test("DEFAULT_REGISTRY is valid and has the reference's names, and one for each other type", () => {
  const { registry } = ProvidersConfig.parse({ registry: DEFAULT_REGISTRY });
  assert.deepEqual(Object.keys(registry), ["openai", "anthropic", "gemini", "openai_responses", "demo"]);
  assert.deepEqual(ProviderType.options.filter((type) => type !== "demo"), [
    "openai",
    "anthropic",
    "gemini",
    "openai_responses",
  ]);
});

Deno.test("Selection, ReliabilityConfig and CatalogConfig have the reference's defaults and bounds", () => {
  assert.deepEqual(Selection.parse({}), {});
  assert.ok(!Selection.safeParse({ model: " " }).success);
  assert.equal(ReliabilityConfig.parse({}).max_attempts, 3);
  assert.ok(!ReliabilityConfig.safeParse({ max_attempts: 0 }).success);
  const { attempt_timeout_secs, cooldown_secs } = ReliabilityConfig.parse({});
  assert.deepEqual([attempt_timeout_secs, cooldown_secs], [undefined, 60]);
  const one = { provider: "openai", model: "m" };
  const list = (length: number) => Selection.safeParse({ fallback: Array.from({ length }, () => one) });
  assert.ok(list(LIMITS.fallbacksMax).success && !list(LIMITS.fallbacksMax + 1).success);
  for (const wrong of [{ provider: "openai" }, { model: "m" }, { ...one, key: "x" }]) {
    assert.ok(!Fallback.safeParse(wrong).success, JSON.stringify(wrong));
  }
  assert.deepEqual(CatalogConfig.parse({}), { skip_catalog_validation: false });
});

Deno.test("ReasoningEffort is what every vendor can be told", () => {
  assert.deepEqual(ReasoningEffort.options, ["none", "low", "medium", "high"]);
});
