import assert from "node:assert/strict";
import { Bootstrap, GuestNotice, GuestSettings, ModelChoice, toProviderOptions } from "#/app/bootstrap.ts";
import { demoBootstrap } from "../fixture/workspace.ts";

const GOOD = demoBootstrap("/w/internal");

Deno.test("Bootstrap takes what a runner sends, whole and unchanged", () => {
  assert.deepEqual(Bootstrap.parse(JSON.parse(JSON.stringify(GOOD))), GOOD);
  assert.deepEqual(GuestSettings.parse(GOOD.settings), GOOD.settings);
  assert.deepEqual(ModelChoice.parse(GOOD.model), GOOD.model);
});

Deno.test("Bootstrap refuses a field too many, a field too few and a value out of its bounds", () => {
  const wrong: readonly unknown[] = [
    null,
    {},
    { ...GOOD, v: 2 },
    { ...GOOD, grant: {} },
    { ...GOOD, user: "../root" },
    { ...GOOD, port: 65_536 },
    { ...GOOD, port: -1 },
    { ...GOOD, startToken: "short" },
    { ...GOOD, model: { ...GOOD.model, type: "shell" } },
    { ...GOOD, model: { ...GOOD.model, model: "" } },
    { ...GOOD, settings: { ...GOOD.settings, turnsMax: 0 } },
    { ...GOOD, settings: { ...GOOD.settings, costMax: 0 } },
    { ...GOOD, settings: { ...GOOD.settings, turnTimeoutMs: 1.5 } },
    { ...GOOD, startupStatus: { ...GOOD.startupStatus, sandbox_tier: "none" } },
  ];
  for (const one of wrong) assert.equal(Bootstrap.safeParse(one).success, false, JSON.stringify(one));
  const { timezone: _, ...without } = GOOD;
  assert.equal(Bootstrap.safeParse(without).success, false);
});

Deno.test("GuestNotice takes the four notices and nothing beside them", () => {
  const notices: readonly GuestNotice[] = [
    { v: 1, type: "listening", port: 1 },
    { v: 1, type: "clients", count: 0 },
    { v: 1, type: "turn" },
    { v: 1, type: "failed", code: "store_newer", message: "x".repeat(4_000) },
  ];
  for (const notice of notices) assert.deepEqual(GuestNotice.parse(notice), notice);
  const wrong: readonly unknown[] = [
    { v: 1, type: "listening", port: 0 },
    { v: 1, type: "listening", port: 65_536 },
    { v: 1, type: "listening", port: 80, grant: "all" },
    { v: 1, type: "clients", count: -1 },
    { v: 1, type: "clients", count: 0.5 },
    { v: 2, type: "turn" },
    { v: 1, type: "granted" },
    { v: 1, type: "failed", code: "x", message: "x".repeat(4_001) },
    { v: 1, type: "failed", code: "x".repeat(65), message: "" },
  ];
  for (const one of wrong) assert.equal(GuestNotice.safeParse(one).success, false, JSON.stringify(one).slice(0, 80));
});

Deno.test("toProviderOptions() hands a provider its entry's name, address, headers and key, the key as a secret", () => {
  const choice = {
    ...GOOD.model,
    provider: "mine",
    baseUrl: "https://acme.test/v1",
    apiKey: "sk-1",
    apiKeySource: "MINE_KEY",
    extraHeaders: { "x-a": "b" },
  };
  const { apiKey, ...rest } = toProviderOptions(choice, fetch);
  assert.equal(apiKey?.reveal(), "sk-1");
  const { baseUrl, apiKeySource, extraHeaders } = choice;
  assert.deepEqual(rest, { name: "mine", baseUrl, apiKeySource, extraHeaders, fetch });
});
