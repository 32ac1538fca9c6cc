import assert from "node:assert/strict";
import { runConfigShow } from "#/cli/config_show.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";

const KEYED =
  '[providers.registry.house]\nprovider_type = "openai"\napi_key = "sk-very-secret"\n[runtime]\nmax_turns = 3\n';

Deno.test("runConfigShow() prints each value with the layer it comes from, and no secret", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": KEYED });
  const env = { HOME: machine.home, OXYDRA__RUNTIME__TURN_TIMEOUT_SECS: "9" };
  using realm = enterRealm({ cwd: machine.cwd, env });
  assert.equal(await runConfigShow({}), 0);
  assert.match(realm.out(), /runtime\.max_turns = 3 .*agent\.toml/);
  assert.match(realm.out(), /runtime\.turn_timeout_secs = 9 .*OXYDRA__RUNTIME__TURN_TIMEOUT_SECS/);
  assert.match(realm.out(), /providers\.registry\.house\.api_key = /);
  assert.ok(!realm.out().includes("sk-very-secret"));
});

Deno.test("runConfigShow() with --json prints one document, for the user that was asked for", async () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": KEYED });
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  assert.equal(await runConfigShow({ json: true, user: "alice", tier: "process" }), 0);
  const { user, values } = JSON.parse(realm.out());
  assert.equal(user, "alice");
  const tier = values.find(({ key }: { key: string }) => key === "runner.default_tier");
  assert.equal(tier.value, "process");
  assert.ok(!realm.out().includes("sk-very-secret"));
});

Deno.test("runConfigShow() prints nothing when the configuration has mistakes", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": "[runtime]\nmax_turn = 5\nturn_timeout_secs = 'soon'" });
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  await assert.rejects(runConfigShow({}), (error: Error & { code?: string }) => {
    assert.equal(error.code, "config_invalid");
    assert.equal(error.message.split("\n").length, 2);
    return true;
  });
  assert.equal(realm.out(), "");
});
