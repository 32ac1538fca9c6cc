import assert from "node:assert/strict";
import { findPlace, toLoadOptions } from "#/cli/place.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";

Deno.test("findPlace() finds user, program and cache, and makes nothing", async () => {
  using machine = makeMachine({});
  const env = { HOME: machine.home, DENO_DIR: "/cache" };
  using _realm = enterRealm({ cwd: machine.cwd, env });
  const place = await findPlace({ user: "ann" });
  assert.deepEqual([place.user.id, place.denoDir, place.env, place.program.source], ["ann", "/cache", env, "file"]);
  assert.throws(() => Deno.lstatSync(place.user.folders.root), Deno.errors.NotFound);
});

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

Deno.test("findPlace() knows what was handed over, and what the user's references came to", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/runner.toml": '[users.ann]\nconfig_path = "ann.toml"\n',
    "home/.config/oxydra/ann.toml": '[credential_refs]\nK = "env:SOURCE"\nTOKEN = "ref"\nv = "vault:x"\n',
  });
  const env = { HOME: machine.home, DENO_DIR: "/cache", SOURCE: "s" };
  using _realm = enterRealm({ cwd: machine.cwd, env });
  const place = await findPlace({ user: "ann", env: ["TOKEN=handed"] });
  assert.deepEqual(place.given, { TOKEN: "handed" });
  assert.deepEqual(place.env, { ...env, K: "s", TOKEN: "handed" });
  assert.equal(place.notes.length, 1);
});
