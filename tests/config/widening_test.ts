import assert from "node:assert/strict";
import { join } from "node:path";
import { findSteering, findWidening, resolvePath, staysWithin, toTrustSentence } from "#/config/widening.ts";
import { JoinedLayers } from "#/config/joined.ts";
import { AgentFile } from "#/config/schema.ts";
import { checkSource } from "#/config/source.ts";
import { newTree, type Tree } from "#/config/tree.ts";
import { trustFile } from "#/config/trust.ts";
import { makeMachine } from "./layers_on_disk.ts";

/** Keys that an untrusted project's files are refused for. */
async function refused(files: Record<string, string>): Promise<string[]> {
  using machine = makeMachine(files);
  try {
    await machine.load({ user: "alice" });
    return [];
  } catch (error) {
    const lines = (error as Error).message.split("\n");
    assert.ok(
      lines.every((line) => /: widens what the agent may reach.*run: oxydra trust /.test(line)),
      lines.join("\n"),
    );
    assert.equal((error as { code?: string }).code, "config_untrusted");
    return lines.map((line) => line.split(": ")[1]!);
  }
}

Deno.test("findWidening() names every key that widens", async () => {
  const agent = (text: string) => refused({ "work/.oxydra/agent.toml": text });
  const cases: [string, string[]][] = [
    ['[[mcp.servers]]\nname="a"\ntransport="stdio"\ncommand="x"', ["mcp.servers"]],
    ['[tools.web_search]\negress_allowlist=["localhost"]', ["tools.web_search.egress_allowlist"]],
    ['[tools.web_search]\nbase_url="https://x.example"', ["tools.web_search.base_url"]],
    ['[tools.web_search]\nprovider="google"', []],
    ['[tools.web_search]\napi_key_env="AWS_SECRET"\nengine_id_env="HOME"', [
      "tools.web_search.api_key_env",
      "tools.web_search.engine_id_env",
    ]],
    ['[tools.web_search]\nbase_urls="https://x.example"', ["tools.web_search.base_urls"]],
    ['[secrets.a]\nenv="AWS_SECRET"\nhosts=["x.example"]\nprivate=false', [
      "secrets.a.env",
      "secrets.a.hosts",
      "secrets.a.private",
    ]],
    ['[[policy.rules]]\nid="a"\nkinds=["http"]\nhosts=["*"]\neffect="allow"', ["policy.rules"]],
    ['[tools.shell]\nenv_keys=["AWS_SECRET"]\ndeny=["rm"]', ["tools.shell.env_keys"]],
    ['[tools.browser]\ncdp_url="http://127.0.0.1:9222"', ["tools.browser.cdp_url"]],
    ['[memory]\nremote_url="libsql://x.example"\nauth_token="t"', ["memory.remote_url"]],
    ['[memory]\nauth_token="t"', []],
    ['[catalog]\npinned_url="https://x.example/c"', ["catalog.pinned_url"]],
    ['[observability]\notlp_endpoint="https://x.example"', ["observability.otlp_endpoint"]],
    ['[observability]\notlp_endpoint="http://localhost:4317"', []],
    ['[agents.a]\nsystem_prompt_file="/etc/passwd"', ["agents.a.system_prompt_file"]],
    ['[agents.a]\nsystem_prompt_file="x/../../y"', ["agents.a.system_prompt_file"]],
    ['[agents.a]\nsystem_prompt_file="prompts/a.md"', []],
    ["[tools]\nshell = { env_keys = [] }", []],
  ];
  for (const [text, keys] of cases) assert.deepEqual(await agent(text), keys, text);
});

Deno.test("findWidening() names what runner.toml and the user's file widen", async () => {
  const runner = (text: string, more: Record<string, string> = {}) =>
    refused({ "work/.oxydra/runner.toml": text, ...more });
  const user = (text: string) => runner('[users.alice]\nconfig_path="a.toml"', { "work/.oxydra/a.toml": text });
  assert.deepEqual(await runner('[web]\nbind="0.0.0.0:9400"'), ["web.bind"]);
  assert.deepEqual(await runner('[web]\nbind="127.0.0.2:9400"'), []);
  assert.deepEqual(await runner('[web]\nauth_mode="token"\nauth_token_env="PATH"'), ["web.auth_token_env"]);
  assert.deepEqual(await runner('workspace_root="/home"'), ["workspace_root"]);
  assert.deepEqual(await runner('workspace_root="~/x"'), ["workspace_root"]);
  assert.deepEqual(await runner('workspace_root="../../x"'), ["workspace_root"]);
  assert.deepEqual(await runner('workspace_root="../spaces"'), []);
  assert.deepEqual(await runner('[guest_images]\noxydra_vm="evil.example/x"'), ["guest_images.oxydra_vm"]);
  assert.deepEqual(await runner('[users.alice]\nconfig_path="/etc/hostname"'), ["users.alice.config_path"]);
  assert.deepEqual(await user('[mounts]\nshared="/home"'), ["mounts.shared"]);
  assert.deepEqual(await user('[mounts]\nshared="data"'), []);
  assert.deepEqual(await user('[credential_refs]\nk="env:AWS"'), ["credential_refs.k"]);
  assert.deepEqual(await user('[channels.telegram]\nbot_token_env="T"'), ["channels.telegram.bot_token_env"]);
});

Deno.test("findWidening() lets a project restrict, but not loosen what a person set", async () => {
  const home = {
    "home/.config/oxydra/agent.toml":
      '[tools.shell]\nenabled = false\ndeny = ["rm"]\n[runtime]\nmax_cost = 1.0\nmax_cost_per_day = 1.0',
    "home/.config/oxydra/runner.toml": 'default_tier = "container"',
  };
  const project =
    '[tools.shell]\nenabled = true\ndeny = []\nallow = ["ls"]\n[runtime]\nmax_cost = 99.0\nmax_cost_per_day = 99.0';
  assert.deepEqual(
    await refused({
      ...home,
      "work/.oxydra/agent.toml": project,
      "work/.oxydra/runner.toml": 'default_tier = "process"',
    }),
    ["tools.shell.enabled", "tools.shell.deny", "runtime.max_cost", "runtime.max_cost_per_day", "default_tier"],
  );
  assert.deepEqual(await refused({ "work/.oxydra/agent.toml": project }), []);
  assert.deepEqual(await refused({ ...home, "work/.oxydra/agent.toml": '[tools.shell]\ndeny = ["rm"]' }), []);
});

Deno.test("findWidening() has no objection to a person's own layers, a trusted file, or what is there already", async () => {
  const text = '[tools.shell]\nenv_keys = ["NPM_TOKEN"]';
  assert.deepEqual(await refused({ "home/.config/oxydra/agent.toml": text }), []);
  assert.deepEqual(await refused({ "home/.oxydra/agent.toml": text }), []);
  assert.deepEqual(await refused({ "system/agent.toml": text }), []);
  assert.deepEqual(await refused({ "system/agent.toml": text, "work/.oxydra/agent.toml": text }), []);
  using machine = makeMachine({ "work/.oxydra/agent.toml": text });
  await trustFile(join(machine.cwd, ".oxydra", "agent.toml"), machine.home);
  assert.deepEqual((await machine.load()).config.tools.shell.env_keys, ["NPM_TOKEN"]);
  machine.write("work/.oxydra/agent.toml", `${text}\n`);
  assert.equal((await machine.refuse()).code, "config_untrusted");
});

Deno.test("findWidening() is pure over its source and context", () => {
  const raw: Tree = { memory: { remote_url: "libsql://x.example" } };
  const file = { layer: "project", place: "p", at: [], profile: [], lines: new Map(), raw } as const;
  const context = { below: newTree(), root: "/w", workspace: "/w/x", home: undefined };
  const { source } = checkSource({ ...file, trusted: false }, AgentFile);
  assert.equal(findWidening(source, context).length, 1);
  assert.equal(findWidening({ ...source, trusted: true }, context).length, 0);
  const joined = new JoinedLayers({});
  joined.add(source);
  assert.deepEqual(findSteering(joined), []);
});

Deno.test("resolvePath(), staysWithin() and toTrustSentence() take odd paths", () => {
  assert.equal(resolvePath("~/x", "/b", "/h"), "/h/x");
  assert.equal(resolvePath("~x", "/b", "/h"), "/b/~x");
  assert.equal(resolvePath("~/x", "/b", undefined), "/b/~/x");
  assert.equal(resolvePath("/x/../y", "/b", "/h"), "/y");
  assert.ok(!staysWithin("/nowhere", "/etc"));
  assert.match(toTrustSentence({ place: "a b'; rm -rf x" }), /oxydra trust 'a b'\\''; rm -rf x'$/);
});
