import assert from "node:assert/strict";
import { toLoadOptions } from "#/cli/place.ts";

Deno.test("toLoadOptions() turns each flag into the key that it stands for", () => {
  const env = { HOME: "/h", OPENAI_API_KEY: "sk" };
  assert.deepEqual(toLoadOptions({}, env), { cwd: Deno.cwd(), env, home: "/h", overrides: {} });
  const all = toLoadOptions({ model: "house/a/b", tier: "process", config: "conf", user: "alice" }, env);
  assert.deepEqual(all.overrides, {
    selection: { provider: "house", model: "a/b" },
    runner: { default_tier: "process" },
    user: { behavior: { sandbox_tier: "process" } },
  });
  assert.deepEqual([all.configDir, all.user], ["conf", "alice"]);
});

Deno.test("toLoadOptions() has no home when the environment has none", () => {
  for (const env of [{}, { HOME: "" }]) assert.ok(!("home" in toLoadOptions({}, env)));
});

Deno.test("toLoadOptions() refuses a model that names no provider", () => {
  for (const model of ["gpt", "", "/gpt", "a b/c", "openai/"]) {
    assert.throws(() => toLoadOptions({ model }, {}), { code: "usage" }, JSON.stringify(model));
  }
});
