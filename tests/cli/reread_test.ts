import assert from "node:assert/strict";
import { join } from "node:path";
import { findPlace } from "#/cli/place.ts";
import { rereadSettings } from "#/cli/reread.ts";
import { describePlan, tellGuest } from "#/cli/start_plan.ts";
import { planTools } from "#/runner/plan_tools.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import type { RunnerSettings } from "#/runner/settings.ts";
import { compareSettings } from "#/runner/settings.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { denoEnv } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

const OPTIONS = { model: "demo" };

/** The settings of a start on this machine, as launch.ts makes them. */
async function start(): Promise<RunnerSettings> {
  const place = await findPlace(OPTIONS);
  const plan = await describePlan(place);
  const folders = prepareWorkspace(place.user, place.loaded, place);
  const told = await tellGuest(place, plan, "1.2.3");
  const tools = planTools(place.loaded.config, place.env);
  return { told, tools, hosts: plan.hosts, folders };
}

async function withRealm(check: (machine: Machine) => Promise<void>): Promise<void> {
  using machine = makeMachine();
  using _ = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), HOME: machine.home } });
  await check(machine);
}

const reread = (settings: RunnerSettings) =>
  rereadSettings({ options: OPTIONS, user: "default", version: "1.2.3", settings });

Deno.test("rereadSettings() finds nothing new where nothing changed, and what an edit changed", async () => {
  await withRealm(async (machine) => {
    const before = await start();
    const same = await reread(before);
    assert.deepEqual([compareSettings(before, same.settings).what, same.later], [[], []]);
    machine.write("home/.config/oxydra/agent.toml", "[runtime]\nmax_turns = 7\n");
    const { settings, loaded } = await reread(before);
    assert.deepEqual([settings.told.settings.turnsMax, loaded.config.runtime.max_turns], [7, 7]);
    assert.deepEqual(compareSettings(before, settings), { guest: true, tools: false, what: ["limits"] });
    machine.write("home/.config/oxydra/agent.toml", "[runtime]\nmax_turn = 7\n");
    await assert.rejects(reread(before), {
      code: "config_invalid",
      message: /agent\.toml:2: runtime\.max_turn: unknown/,
    });
  });
});

Deno.test("rereadSettings() has the rules of trust of a start: an untrusted folder widens nothing", async () => {
  await withRealm(async (machine) => {
    const before = await start();
    machine.write("work/.oxydra/agent.toml", `[tools.web_search]\negress_allowlist = ["10.0.0.1"]\n`);
    await assert.rejects(reread(before), { code: "config_untrusted", message: /agent\.toml:2: .*egress_allowlist/ });
  });
});

Deno.test("rereadSettings() makes the folders of new mounts, keeps the place of the workspace, and says so", async () => {
  await withRealm(async (machine) => {
    const before = await start();
    const runner = (more: string) =>
      machine.write("home/.config/oxydra/runner.toml", `default_tier = "process"\n${more}`);
    runner(`workspace_root = "${machine.cwd}/.oxydra/workspaces"\n[users.default]\nconfig_path = "me.toml"\n`);
    machine.write("home/.config/oxydra/me.toml", `[mounts]\nshared = "${machine.cwd}/files"\n`);
    const mounted = await reread(before);
    assert.equal(mounted.settings.folders.shared, join(machine.cwd, "files"));
    assert.ok(Deno.statSync(join(machine.cwd, "files")).isDirectory);
    assert.deepEqual(compareSettings(before, mounted.settings), { guest: false, tools: true, what: ["mounts"] });
    runner(`workspace_root = "${machine.root}/elsewhere"\n`);
    const moved = await reread(before);
    assert.deepEqual([moved.later, moved.settings.folders], [["workspace_root"], before.folders]);
    assert.throws(() => Deno.statSync(join(machine.root, "elsewhere")), Deno.errors.NotFound);
    runner(`[users.alice]\nconfig_path = "me.toml"\n`);
    await assert.rejects(reread(before), { code: "config_invalid" });
  });
});
