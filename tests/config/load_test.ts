import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { schemaKeys } from "#/config/schema_walk.ts";
import { AgentFile, RunnerFile, UserFile } from "#/config/schema.ts";
import { valueAt } from "#/config/tree.ts";
import { parse } from "smol-toml";
import { makeMachine, readFixture } from "./layers_on_disk.ts";

Deno.test("loadConfig() works with no file at all", async () => {
  using machine = makeMachine();
  const { config, user, origins, workspacesWithin } = await machine.load();
  assert.equal(user, "default");
  assert.equal(config.memory.enabled, true);
  assert.equal(config.runner.default_tier, "process");
  assert.deepEqual(config.selection, {});
  assert.equal(config.runner.workspace_root, join(machine.cwd, ".oxydra", "workspaces"));
  assert.equal(workspacesWithin, machine.cwd);
  assert.equal(origins.size, 0);
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.runtime.context_budget));
  await machine.load({ home: undefined });
});

Deno.test("loadConfig() reads the reference's example files unchanged from ./.oxydra, untrusted", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": readFixture("agent.toml"),
    "work/.oxydra/runner.toml": readFixture("runner.toml"),
    "work/.oxydra/users/alice.toml": readFixture("runner-user.toml"),
  });
  const { config, user, origins } = await machine.load();
  assert.equal(user, "alice");
  assert.equal(config.runner.default_tier, "container");
  assert.equal(config.selection.model, "gpt-4o-mini");
  assert.equal(config.memory.enabled, false);
  assert.deepEqual(origins.get("gateway.session_idle_ttl_hours"), {
    layer: "project",
    file: join(machine.cwd, ".oxydra", "agent.toml"),
    line: 24,
  });
});

/** A home with every documented key of every file. */
const FULL = {
  "home/.config/oxydra/agent.toml": readFixture("agent_full.toml"),
  "home/.config/oxydra/runner.toml": readFixture("runner_full.toml"),
  "home/.config/oxydra/users/alice.toml": readFixture("user_full.toml"),
};

Deno.test("loadConfig() takes every key that the schema knows, and the fixtures hold each of them", async () => {
  using machine = makeMachine(FULL);
  const { config } = await machine.load({ user: "alice" });
  assert.equal(config.providers.registry["my-proxy"]?.api_key?.reveal(), "proxy-secret-value");
  assert.deepEqual(config.mcp.servers.map(({ safety_tier }) => safety_tier), ["side_effecting", "privileged"]);
  assert.equal(config.user.behavior.sandbox_tier, "container");
  const files = [
    [AgentFile, "agent_full.toml"],
    [RunnerFile, "runner_full.toml"],
    [UserFile, "user_full.toml"],
  ] as const;
  const holds = (value: unknown, path: readonly string[]): boolean => {
    const star = path.indexOf("*");
    if (star < 0) return valueAt(value, path) !== undefined;
    const entries = Object.values(valueAt(value, path.slice(0, star)) ?? {});
    return entries.some((entry) => star === path.length - 1 || holds(entry, path.slice(star + 1)));
  };
  for (const [schema, name] of files) {
    const tree = parse(readFixture(name));
    for (const path of schemaKeys(schema)) assert.ok(holds(tree, path), `${name} lacks ${path.join(".")}`);
  }
});

Deno.test("loadConfig() lets the later layer win and tells who set what", async () => {
  const at = (turns: number) => `[runtime]\nmax_turns = ${turns}`;
  using machine = makeMachine({
    "system/agent.toml": `${at(1)}\nturn_timeout_secs = 11`,
    "home/.config/oxydra/agent.toml": at(2),
    "home/.oxydra/agent.toml": at(3),
    "work/.oxydra/agent.toml": at(4),
    "work/.oxydra/providers.toml": at(5),
  });
  const turns = async (options = {}) => {
    const { config, origins } = await machine.load(options);
    return [config.runtime.max_turns, config.runtime.turn_timeout_secs, origins.get("runtime.max_turns")?.layer];
  };
  const env = { OXYDRA__RUNTIME__MAX_TURNS: "6" };
  assert.deepEqual(await turns(), [5, 11, "project"]);
  assert.deepEqual(await turns({ env }), [6, 11, "env"]);
  assert.deepEqual(await turns({ env, overrides: { runtime: { max_turns: 7 } } }), [7, 11, "flag"]);
  assert.deepEqual(await turns({ cwd: machine.root }), [3, 11, "user"]);
  const { origins } = await machine.load({ env });
  assert.deepEqual(origins.get("runtime.max_turns"), { layer: "env", variable: "OXYDRA__RUNTIME__MAX_TURNS" });
});

Deno.test("loadConfig() reports three mistakes as three lines with their files and lines", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": "# max_turn = 1\n[runtime]\nmax_turn = 5\n\n[memory.retrieval]\nvector_weight = 0.9\n",
    "work/.oxydra/providers.toml": '[providers.registry.x]\nprovider_type = "opena"\n',
  });
  const { code, message, params } = await machine.refuse();
  assert.equal(code, "config_invalid");
  assert.equal(params.problems, 3);
  assert.deepEqual(message.split("\n"), [
    ".oxydra/agent.toml:3: runtime.max_turn: unknown key; the nearest known key is max_turns",
    ".oxydra/agent.toml:6: memory.retrieval.vector_weight: vector_weight and fts_weight must sum to 1, got 1.2",
    ".oxydra/providers.toml:2: providers.registry.x.provider_type: expected one of openai, anthropic, gemini, " +
    "openai_responses, demo; the nearest is openai",
  ]);
});

Deno.test("loadConfig() reports mistakes of all layers at once, also of values that a later layer hides", async () => {
  using machine = makeMachine({
    "system/agent.toml": "[runtime]\nmax_turns = 0",
    "home/.config/oxydra/runner.toml": 'default_tier = "vm"\n[users.Alice]\nconfig_path = "a"',
    "work/.oxydra/agent.toml": 'config_version = "2.0"\n[runtime]\nmax_turns = 9\n[selection]\nprovider = "opena"',
  });
  const { message } = await machine.refuse({
    user: "B",
    env: { OXYDRA__GATEWAY__MAX_SESIONS_PER_USER: "1" },
    overrides: { runtime: { max_turns: "many" }, nope: 1 },
  });
  const lines = message.split("\n").map((line) => line.replace(machine.root, ""));
  for (
    const expected of [
      /^\/system\/agent\.toml:2: runtime\.max_turns: expected a number of at least 1, got 0$/,
      /runner\.toml:1: default_tier: expected one of process, container, micro_vm/,
      /runner\.toml:2: users\.Alice: must be a user id/,
      /^\.oxydra\/agent\.toml:1: config_version: must have the major version 1/,
      /^\.oxydra\/agent\.toml:5: selection\.provider: .*nearest is openai$/,
      /^OXYDRA__GATEWAY__MAX_SESIONS_PER_USER: .*OXYDRA__GATEWAY__MAX_SESSIONS_PER_USER$/,
      /^command line: runtime\.max_turns: expected a number, got text$/,
      /^command line: nope: unknown key/,
      /^command line: --user: a user id is/,
    ]
  ) assert.equal(lines.filter((line) => expected.test(line)).length, 1, `${expected}\n${message}`);
  assert.equal(lines.length, 9, message);
});

Deno.test("loadConfig() says what is wrong with a file that is none", async () => {
  const cases: [string | Uint8Array, RegExp][] = [
    [new Uint8Array([0xff, 0xfe, 0]), /^\.oxydra\/agent\.toml:1: is not UTF-8 text$/],
    ["a = ", /^\.oxydra\/agent\.toml:1: TOML syntax: /],
    ["x".repeat(LIMITS.configBytesMax + 1), /^\.oxydra\/agent\.toml: is larger than/],
  ];
  for (const [content, expected] of cases) {
    using machine = makeMachine({ "work/.oxydra/agent.toml": content });
    assert.match((await machine.refuse()).message, expected);
  }
  using folder = makeMachine({ "work/.oxydra/agent.toml/x": "", "work/.oxydra/runner.toml": "" });
  assert.match((await folder.refuse()).message, /^\.oxydra\/agent\.toml: is a folder, expected a file$/);
  using empty = makeMachine({ "work/.oxydra/agent.toml": "", "work/.oxydra/providers.toml": "\n# nothing\n" });
  await empty.load();
});

Deno.test("loadConfig() comes to the end of a megabyte of unknown keys, and counts them", async () => {
  const keys = Array.from({ length: 90_000 }, (_, i) => `k${i}=1`);
  for (
    const text of [keys.join("\n"), `[mcp]\nservers = [{name="a",transport="stdio",command="x",${keys.join(",")}}]`]
  ) {
    using machine = makeMachine({ "work/.oxydra/agent.toml": text });
    const lines = (await machine.refuse()).message.split("\n");
    assert.equal(lines.length, LIMITS.configProblemsMax + 1);
    assert.equal(lines.at(-1), `and ${90_000 - LIMITS.configProblemsMax} more`);
  }
});

Deno.test("loadConfig() finds the user's file beside runner.toml and names the line that names a missing one", async () => {
  using machine = makeMachine({ "work/.oxydra/runner.toml": '[users.alice]\nconfig_path = "users/a.toml"' });
  const { message } = await machine.refuse();
  assert.match(
    message,
    /^\.oxydra\/runner\.toml:2: users\.alice\.config_path: there is no such file: .*users\/a\.toml$/,
  );
  machine.write("work/.oxydra/users/a.toml", "[resources]\nmax_vcpus = 2");
  assert.equal((await machine.load()).config.user.resources.max_vcpus, 2);
});

Deno.test("loadConfig() keeps the reference's tier and root for a runner.toml that does not say", async () => {
  using machine = makeMachine({ "home/.oxydra/runner.toml": "[web]\nenabled = false" });
  const { config, workspacesWithin } = await machine.load();
  assert.equal(config.runner.default_tier, "micro_vm");
  assert.equal(config.runner.workspace_root, join(machine.home, ".oxydra", "workspaces"));
  assert.equal(workspacesWithin, undefined);
  const chosen = await machine.load({ overrides: { runner: { default_tier: "process", workspace_root: "ws" } } });
  assert.equal(chosen.config.runner.default_tier, "process");
  assert.equal(chosen.config.runner.workspace_root, join(machine.cwd, "ws"));
});

Deno.test("loadConfig() reads --config in place of ./.oxydra", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": "broken",
    "work/conf/agent.toml": "[runtime]\nmax_turns = 3",
  });
  const { config, configFolders } = await machine.load({ configDir: "conf" });
  assert.equal(config.runtime.max_turns, 3);
  assert.deepEqual(configFolders, [join(machine.cwd, "conf")]);
  assert.match((await machine.refuse({ configDir: "gone" })).message, /^gone: there is no such folder for --config$/);
});

Deno.test("loadConfig() gives the same answer to many at once", async () => {
  using machine = makeMachine(FULL);
  const all = await Promise.all(Array.from({ length: 20 }, () => machine.load({ user: "alice" })));
  for (const { config } of all) assert.deepEqual(config.runtime, all[0]!.config.runtime);
});
