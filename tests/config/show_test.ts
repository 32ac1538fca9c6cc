import assert from "node:assert/strict";
import { Config } from "#/config/schema.ts";
import { schemaKeys } from "#/config/schema_walk.ts";
import { listEffective, showEffective } from "#/config/show.ts";
import { makeMachine, readFixture } from "./layers_on_disk.ts";

const FULL = {
  "home/.config/oxydra/agent.toml": readFixture("agent_full.toml"),
  "home/.config/oxydra/runner.toml": readFixture("runner_full.toml"),
  "home/.config/oxydra/users/alice.toml": readFixture("user_full.toml"),
};

Deno.test("showEffective() shows every key of the schema with its source", async () => {
  using machine = makeMachine(FULL);
  const loaded = await machine.load({ user: "alice", env: { OXYDRA__RUNTIME__MAX_TURNS: "6" } });
  const text = showEffective(loaded, { json: false, cwd: machine.root });
  for (const path of schemaKeys(Config)) {
    // A list of tables is one value; its keys are inside.
    const list = path.findIndex((step, i) =>
      step === "*" && ["servers", "senders", "rules", "fallback"].includes(path[i - 1]!)
    );
    const shown = list < 0 ? path : path.slice(0, list);
    const pattern = new RegExp(`^${shown.map((step) => step === "*" ? "[^.]+" : step).join("\\.")} = `, "m");
    assert.match(text, pattern, path.join("."));
  }
  assert.match(text, /^runtime\.max_turns = 6 +# env OXYDRA__RUNTIME__MAX_TURNS$/m);
  assert.match(text, /^runtime\.max_cost = 1000 +# user home\/\.config\/oxydra\/agent\.toml:25$/m);
});

Deno.test("showEffective() never shows a secret, in neither form", async () => {
  using machine = makeMachine(FULL);
  const loaded = await machine.load({ user: "alice" });
  for (const json of [false, true]) {
    const text = showEffective(loaded, { json, cwd: machine.cwd });
    assert.doesNotMatch(text, /secret-value/);
    assert.match(text, /•••• \(set\)/);
  }
  assert.doesNotMatch(
    JSON.stringify(loaded.config.providers) + Deno.inspect(loaded, { depth: 20 }),
    /proxy-secret|header-secret/,
  );
});

Deno.test("showEffective() is the same in JSON, typed and whole", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": `[agents.a]\nsystem_prompt = "${"x".repeat(5_000)}"` });
  const loaded = await machine.load();
  const { user, values } = JSON.parse(showEffective(loaded, { json: true, cwd: machine.cwd }));
  assert.equal(user, "default");
  const find = (key: string) => values.find((value: { key: string }) => value.key === key);
  assert.deepEqual(find("runtime.max_turns"), {
    key: "runtime.max_turns",
    value: 100,
    secret: false,
    source: { layer: "default" },
  });
  assert.equal(find("agents.a.system_prompt").value.length, 5_000);
  assert.equal(find("agents.a.system_prompt").source.line, 2);
  assert.ok(!("value" in find("runtime.max_cost")));
  assert.equal(values.length, listEffective(loaded).length);
  const lines = showEffective(loaded, { json: false, cwd: machine.cwd }).split("\n");
  assert.ok(lines.every((line) => line.length < 300));
  assert.ok(lines.includes("runtime.max_cost = (not set)".padEnd(64) + "  # default"));
});

Deno.test("showEffective() cannot be made to move the cursor", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": '[agents.a]\nsystem_prompt = "\\u001b[2J\\u009b\\u202e"' });
  // deno-lint-ignore no-control-regex -- that there is none is the point
  assert.doesNotMatch(showEffective(await machine.load(), { json: false, cwd: "/" }), /[\u001b\u009b\u202e]/);
});
