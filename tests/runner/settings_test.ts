import assert from "node:assert/strict";
import { Secret } from "#/lib/secret.ts";
import { compareSettings, type RunnerSettings } from "#/runner/settings.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { demoBootstrap, makeFolders } from "../fixture/workspace.ts";

function toSettings(): RunnerSettings {
  const { version, timezone, model, settings, startupStatus } = demoBootstrap("/w");
  const folders = { ...makeFolders(), shared: "/w/shared" };
  return { told: { version, timezone, model, settings, startupStatus }, hosts: [], tools: NO_TOOLS_PLAN, folders };
}

const secret = (value: string) => ({ name: "s", hosts: ["a"], isPrivate: false, value: new Secret(value) });

Deno.test("compareSettings() tells what differs, by name and without a value, and whom it is about", () => {
  const base = toSettings();
  const { told, tools, folders } = base;
  const { model } = told;
  const same: RunnerSettings = {
    ...base,
    told: { ...told, model: { ...model, reason: "another reason" }, fallback: [] },
    tools: { ...tools, values: new Map(), egress: { mode: "default", allowlist: [] } },
  };
  const withSecret = (value: string) => ({ ...base, tools: { ...tools, secrets: [secret(value)] } });
  const cases: readonly (readonly [RunnerSettings, readonly string[], guest: boolean, tools: boolean])[] = [
    [base, [], false, false],
    [same, [], false, false],
    [{ ...base, told: { ...told, model: { ...model, provider: "b" } } }, ["model b/demo"], true, false],
    [{ ...base, told: { ...told, model: { ...model, apiKey: "k" } } }, ["how the model is reached"], true, false],
    [{ ...base, told: { ...told, fallback: [model] } }, ["fallback"], true, false],
    [{ ...base, told: { ...told, settings: { ...told.settings, turnsMax: 9 } } }, ["limits"], true, false],
    [{ ...base, told: { ...told, timezone: "Asia/Tokyo" } }, ["timezone"], true, false],
    [{ ...base, hosts: ["a:443"] }, ["hosts"], true, true],
    [{ ...base, tools: { ...tools, rules: [[]] } }, ["policy"], false, true],
    [{ ...base, tools: { ...tools, values: new Map([["a", "b"]]) } }, ["tools"], false, true],
    [withSecret("one"), ["tools"], false, true],
    [{ ...base, folders: { ...folders, shared: "/other" } }, ["mounts"], false, true],
  ];
  for (const [after, what, guest, ofTools] of cases) {
    assert.deepEqual(compareSettings(base, after), { what, guest, tools: ofTools });
  }
  assert.deepEqual(compareSettings(withSecret("one"), withSecret("two")).what, ["tools"], "a secret's value counts");
  assert.deepEqual(compareSettings(withSecret("one"), withSecret("one")).what, []);
});
