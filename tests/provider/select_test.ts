import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { parseModel } from "#/provider/catalog.ts";
import { readSnapshot } from "#/provider/catalog_snapshot.ts";
import {
  CREDENTIAL_ENV,
  findApiKey,
  parseModelFlag,
  type SelectInput,
  selectProvider,
  vendorOf,
} from "#/provider/select.ts";

const NOTHING: SelectInput = { registry: {}, env: {}, localServers: [] };
const OPENAI = { provider_type: "openai" } as const;

function refused(input: SelectInput): string {
  try {
    selectProvider(input);
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "config_invalid", String(error));
    return error.message;
  }
  assert.fail("it was accepted");
}

Deno.test("selectProvider() chooses the demo when there is nothing, and says how to set a key", () => {
  const selected = selectProvider(NOTHING);
  assert.deepEqual([selected.kind, selected.type, selected.provider, selected.model], ["demo", "demo", "demo", "demo"]);
  assert.match(
    selected.reason,
    /^No model is configured and no key is in the environment, so the demo answers\.$/,
  );
  assert.match(selected.hint!, /oxydra setup, or export OPENAI_API_KEY/);
});

Deno.test("selectProvider() takes a key of the environment with a default model", () => {
  const selected = selectProvider({ ...NOTHING, env: { OPENAI_API_KEY: "sk-1", ANTHROPIC_API_KEY: "x" } });
  assert.deepEqual([selected.kind, selected.provider, selected.type], ["environment", "openai", "openai"]);
  assert.deepEqual([selected.apiKey?.reveal(), selected.apiKeySource], ["sk-1", "OPENAI_API_KEY"]);
  assert.match(selected.reason, /OPENAI_API_KEY is set, so openai\/gpt-/);
  assert.equal(selected.baseUrl, undefined);
});

Deno.test("selectProvider() takes Anthropic's key too, and names it where it is missing", () => {
  const selected = selectProvider({ ...NOTHING, env: { ANTHROPIC_API_KEY: "sk-2" } });
  assert.deepEqual([selected.provider, selected.type, selected.apiKey?.reveal()], ["anthropic", "anthropic", "sk-2"]);
  assert.match(selected.reason, /ANTHROPIC_API_KEY is set, so anthropic\/claude-/);
  assert.match(refused({ ...NOTHING, selection: { provider: "anthropic", model: "m" } }), /export ANTHROPIC_API_KEY=/);
});

Deno.test("selectProvider() with a key of the environment still obeys the openai entry", () => {
  const registry = { openai: { ...OPENAI, base_url: "http://127.0.0.1:9000" } };
  const selected = selectProvider({ ...NOTHING, registry, env: { OPENAI_API_KEY: "sk-1" } });
  assert.equal(selected.baseUrl, "http://127.0.0.1:9000/v1");
});

Deno.test("selectProvider() does not use API_KEY unasked, nor a variable that is blank", () => {
  assert.equal(selectProvider({ ...NOTHING, env: { API_KEY: "y", OPENAI_API_KEY: "  " } }).kind, "demo");
});

Deno.test("selectProvider() takes each vendor's key with that vendor's model", () => {
  const vendors = [["openai", "OPENAI_API_KEY"], ["anthropic", "ANTHROPIC_API_KEY"], [
    "gemini",
    "GEMINI_API_KEY",
  ]] as const;
  for (const [type, variable] of vendors) {
    const { kind, provider, model } = selectProvider({ ...NOTHING, env: { [variable]: "k" } });
    assert.deepEqual([kind, provider, model], ["environment", type, vendorOf(type)?.model]);
  }
});

Deno.test("vendorOf() names for each vendor a model that the catalog has, with tools, at a small price", async () => {
  const { vendors } = await readSnapshot();
  for (const [type, vendor] of [["openai", "openai"], ["anthropic", "anthropic"], ["gemini", "google"]] as const) {
    const model = parseModel(vendors, vendor, vendorOf(type)!.model);
    assert.ok(model?.tool_call && model.status === undefined, type);
    assert.ok(model.cost!.input <= 1 && model.cost!.output <= 5, type);
  }
  assert.deepEqual(vendorOf("openai_responses"), vendorOf("openai"));
  assert.equal(vendorOf("demo"), undefined);
});

Deno.test("selectProvider() prints the command for a local server", () => {
  const localServers = [{ label: "Ollama", baseUrl: "http://127.0.0.1:11434/v1", models: ["llama3.2:3b", "b"] }];
  const selected = selectProvider({ ...NOTHING, localServers });
  assert.equal(selected.kind, "demo");
  assert.match(selected.reason, /Ollama.*11434.*asked for its models only/);
  assert.match(selected.hint!, /BASE_URL=http:\/\/127\.0\.0\.1:11434\/v1 .*--model local\/llama3\.2:3b/);
});

Deno.test("selectProvider() obeys the configuration before everything else", () => {
  const registry = {
    openrouter: { ...OPENAI, base_url: "https://openrouter.ai/api", api_key_env: "ROUTER_KEY" },
    local: { ...OPENAI, base_url: "http://127.0.0.1:11434" },
  };
  const env = { ROUTER_KEY: "sk-r", OPENAI_API_KEY: "sk-o" };
  const routed = selectProvider({
    ...NOTHING,
    registry,
    env,
    selection: { provider: "openrouter", model: "meta/llama" },
  });
  assert.deepEqual(
    [routed.kind, routed.model, routed.baseUrl, routed.apiKeySource],
    ["configured", "meta/llama", "https://openrouter.ai/api/v1", "ROUTER_KEY"],
  );
  const local = selectProvider({ ...NOTHING, registry, selection: { provider: "local", model: "m" } });
  assert.equal(local.apiKey, undefined);
  assert.match(local.reason, /local\/m without a key/);
  const demo = selectProvider({ ...NOTHING, env, selection: { provider: "demo" } });
  assert.deepEqual([demo.kind, demo.type, demo.model], ["configured", "demo", "demo"]);
  const named = selectProvider({ ...NOTHING, env, selection: { model: "gpt-x" } });
  assert.deepEqual([named.provider, named.model], ["openai", "gpt-x"]);
});

Deno.test("selectProvider() refuses what it cannot serve and never falls back", () => {
  const registry = {
    claude: { provider_type: "gemini" },
    local: { ...OPENAI, base_url: "http://h" },
  } as const;
  assert.match(
    refused({ ...NOTHING, registry, selection: { provider: "cloude", model: "m" } }),
    /did you mean "claude"/,
  );
  assert.match(
    refused({ ...NOTHING, registry, selection: { provider: "claude", model: "m" } }),
    /export GEMINI_API_KEY=/,
  );
  assert.match(refused({ ...NOTHING, registry, selection: { provider: "local" } }), /selection\.model is missing/);
  assert.match(refused({ ...NOTHING, selection: { provider: "openai", model: "m" } }), /export OPENAI_API_KEY=/);
  assert.match(refused({ ...NOTHING, selection: { provider: "toString", model: "m" } }), /not in providers\.registry/);
  const bad = { bad: { ...OPENAI, base_url: "ftp://h" } };
  assert.match(refused({ ...NOTHING, registry: bad, selection: { provider: "bad", model: "m" } }), /http/);
});

Deno.test("findApiKey() takes the first that is not empty, and names its source", () => {
  const entry = { ...OPENAI, api_key: new Secret("written"), api_key_env: "MINE" };
  const env = {
    MINE: "mine",
    OPENAI_API_KEY: "vendor",
    API_KEY: "any",
    ANTHROPIC_API_KEY: "claude",
    GEMINI_API_KEY: "gem",
  };
  const found = (e: Parameters<typeof findApiKey>[1], v: Record<string, string>) => {
    const key = findApiKey("x", e, v);
    return key && [key.key.reveal(), key.source];
  };
  assert.deepEqual(found(entry, env), ["written", "providers.registry.x.api_key"]);
  assert.deepEqual(found({ ...entry, api_key: new Secret(" ") }, env), ["mine", "MINE"]);
  assert.deepEqual(found({ ...OPENAI, api_key_env: "MINE" }, { ...env, MINE: "" }), ["vendor", "OPENAI_API_KEY"]);
  assert.deepEqual(found(OPENAI, { ...env, OPENAI_API_KEY: "\n" }), ["any", "API_KEY"]);
  assert.deepEqual(found({ provider_type: "anthropic" }, env), ["claude", "ANTHROPIC_API_KEY"]);
  assert.deepEqual(found({ provider_type: "gemini" }, env), ["gem", "GEMINI_API_KEY"]);
  assert.deepEqual(found({ provider_type: "openai_responses" }, env), ["vendor", "OPENAI_API_KEY"]);
  assert.equal(found(OPENAI, {}), undefined);
  assert.deepEqual(CREDENTIAL_ENV, ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "API_KEY"]);
});

Deno.test("findApiKey() refuses a key that would break out of its header, and does not show it", () => {
  for (const key of ["sk-hunter2\nX-Evil: 1", "sk hunter2", "sk-hunter2\u0000x", "sk-hunter2-ключ"]) {
    assert.throws(() => findApiKey("x", OPENAI, { OPENAI_API_KEY: key }), (error) => {
      return error instanceof AppError && error.code === "config_invalid" && !error.message.includes("hunter2") &&
        error.message.includes("OPENAI_API_KEY");
    }, JSON.stringify(key));
  }
  assert.equal(findApiKey("x", OPENAI, { OPENAI_API_KEY: "sk-1\n" })?.key.reveal(), "sk-1");
});

Deno.test("parseModelFlag() splits at the first slash", () => {
  assert.deepEqual(parseModelFlag("openai/gpt-x"), { provider: "openai", model: "gpt-x" });
  assert.deepEqual(parseModelFlag("openrouter/meta/llama:free"), { provider: "openrouter", model: "meta/llama:free" });
  assert.deepEqual(parseModelFlag("demo"), { provider: "demo", model: "demo" });
  for (const wrong of ["", "gpt-x", "/gpt", "openai/", "openai/ ", "a b/c"]) {
    assert.throws(() => parseModelFlag(wrong), (error) => error instanceof AppError && error.code === "usage", wrong);
  }
});

Deno.test("vendorOf() knows where a vendor's key usually is", () => {
  assert.equal(vendorOf("openai")?.env, "OPENAI_API_KEY");
  assert.equal(vendorOf("anthropic")?.env, "ANTHROPIC_API_KEY");
  assert.equal(vendorOf("demo"), undefined);
});
