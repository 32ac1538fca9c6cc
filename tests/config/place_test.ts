import assert from "node:assert/strict";
import { join } from "node:path";
import { JoinedLayers } from "#/config/joined.ts";
import { LayerReader } from "#/config/layers.ts";
import { addUserFile, findChosenMounts, placeWorkspaces } from "#/config/place.ts";
import { trustFile } from "#/config/trust.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("placeWorkspaces() and addUserFile() start relative paths where the reference does", async () => {
  using machine = makeMachine({
    "work/.oxydra/runner.toml": 'workspace_root = "../ws"\n[users.a]\nconfig_path = "u/a.toml"',
    "work/.oxydra/u/a.toml": '[mounts]\nshared = "s"\nvault = "~/v"',
  });
  const { cwd, home } = machine;
  const project = join(cwd, ".oxydra");
  const options = { cwd, home, project, root: cwd, user: "a" };
  const reader = new LayerReader(cwd, home);
  const joined = new JoinedLayers({});
  for (const source of await reader.readFolder({ layer: "project", path: project, realPath: project })) {
    joined.add(source);
  }
  await addUserFile(joined, reader, options);
  assert.deepEqual(placeWorkspaces(joined, options), { ofProject: true, root: join(cwd, "ws") });
  const { runner, user } = joined.check([]).config;
  assert.equal(runner.default_tier, "micro_vm");
  assert.deepEqual(user.mounts, { shared: join(cwd, "ws", "a", "s"), vault: join(home, "v") });
  assert.deepEqual(findChosenMounts(joined), []);
});

Deno.test("placeWorkspaces() leaves the place to a person who trusted the file that names it", async () => {
  using machine = makeMachine({ "work/.oxydra/runner.toml": 'workspace_root = "/srv/ws"\ndefault_tier = "process"' });
  assert.equal((await machine.refuse()).code, "config_untrusted");
  await trustFile(join(machine.cwd, ".oxydra", "runner.toml"), machine.home);
  const loaded = await machine.load();
  assert.equal(loaded.config.runner.workspace_root, "/srv/ws");
  assert.equal(loaded.workspacesWithin, undefined);
});
