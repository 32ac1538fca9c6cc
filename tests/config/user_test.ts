import assert from "node:assert/strict";
import { join } from "node:path";
import { resolveUser } from "#/config/user.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("resolveUser() puts everything below ./.oxydra/workspaces without runner.toml, and must stay in the project", async () => {
  using machine = makeMachine();
  const { id, tier, folders, mounts } = resolveUser(await machine.load());
  const root = join(machine.cwd, ".oxydra", "workspaces", "default");
  assert.deepEqual([id, tier, folders.root, folders.audit], ["default", "process", root, join(root, "audit")]);
  assert.deepEqual(
    mounts,
    ["shared", "tmp", "vault"].map((name) => ({
      name,
      path: join(root, name),
      within: machine.cwd,
    })),
  );
});

Deno.test("resolveUser() applies mounts and tier of the user's file; a person's own place may be anywhere", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/runner.toml": '[users.alice]\nconfig_path = "a.toml"',
    "home/.config/oxydra/a.toml": '[mounts]\nshared = "/data/s"\ntmp = "scratch"\n[behavior]\nsandbox_tier = "process"',
  });
  const { folders, mounts, tier } = resolveUser(await machine.load());
  const root = join(machine.home, ".config", "oxydra", "workspaces", "alice");
  assert.equal(folders.shared, "/data/s");
  assert.equal(folders.tmp, join(root, "scratch"));
  assert.equal(folders.vault, join(root, "vault"));
  assert.equal(tier, "process");
  assert.deepEqual(mounts.filter(({ within }) => within !== undefined), []);
});
