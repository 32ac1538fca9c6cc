import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { resolveUser } from "#/config/user.ts";
import { findDenoDir, prepareWorkspace } from "#/runner/prepare.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { thisProgram } from "../fixture/workspace.ts";

async function prepare(machine: Machine) {
  const loaded = await machine.load();
  const around = { program: thisProgram(), denoDir: join(machine.root, "deno") };
  return prepareWorkspace(resolveUser(loaded), loaded, around);
}

Deno.test("prepareWorkspace() makes every folder of the user, mode 0700, and finds them again", async () => {
  using machine = makeMachine();
  const folders = await prepare(machine);
  assert.equal(folders.root, join(machine.cwd, ".oxydra/workspaces/default"));
  for (const [name, path] of Object.entries(folders)) {
    const info = await Deno.stat(path);
    assert.ok(info.isDirectory, name);
    assert.equal(info.mode! & 0o777, 0o700, name);
  }
  await Deno.writeTextFile(join(folders.shared, "kept.txt"), "kept");
  assert.deepEqual(await prepare(machine), folders);
  assert.equal(await Deno.readTextFile(join(folders.shared, "kept.txt")), "kept");
});

Deno.test("prepareWorkspace() resolves the links of the way to the workspace", async () => {
  using machine = makeMachine();
  await Deno.mkdir(join(machine.root, "disk"));
  await Deno.symlink(join(machine.root, "disk"), join(machine.root, "linked"));
  machine.write(
    "home/.config/oxydra/runner.toml",
    `workspace_root = "${machine.root}/linked/spaces"\ndefault_tier = "process"`,
  );
  assert.equal((await prepare(machine)).root, join(machine.root, "disk/spaces/default"));
});

Deno.test("prepareWorkspace() refuses a folder of ours that is a link, and makes nothing behind it", async () => {
  for (const name of ["internal", "run", "ipc", "logs", "audit"]) {
    using machine = makeMachine({ "work/.oxydra/workspaces/default/.keep": "" });
    const target = join(machine.root, "elsewhere");
    await Deno.mkdir(target);
    await Deno.symlink(target, join(machine.cwd, ".oxydra/workspaces/default", name));
    await assert.rejects(prepare(machine), { code: "config_invalid", message: new RegExp(`${name} folder is a link`) });
    assert.deepEqual([...Deno.readDirSync(target)], []);
  }
});

Deno.test("prepareWorkspace() refuses a root that touches what tools must never see, and names both", async () => {
  const cases = [
    ["HOME/.config/oxydra", /a config folder/],
    ["ROOT/deno/npm", /Deno's cache/],
    ["WORK/.oxydra/workspaces/default/internal", /the user's internal folder/],
    ["WORK/.oxydra/workspaces/alice", /another user's workspace/],
  ] as const;
  for (const [place, message] of cases) {
    using machine = makeMachine();
    const path = place.replace("HOME", machine.home).replace("ROOT", machine.root).replace("WORK", machine.cwd);
    machine.write(
      "home/.config/oxydra/runner.toml",
      `default_tier = "process"\nworkspace_root = "${machine.cwd}/.oxydra/workspaces"\n[users.default]\nconfig_path = "user.toml"`,
    );
    machine.write("home/.config/oxydra/user.toml", `[mounts]\nshared = "${path}"`);
    await assert.rejects(prepare(machine), { code: "config_invalid", message });
  }
});

Deno.test("prepareWorkspace() says in words what is in the way", async () => {
  using file = makeMachine({ "work/.oxydra/workspaces/default/shared": "a file" });
  await assert.rejects(prepare(file), {
    code: "config_invalid",
    message: /the shared folder .* (a file is in its place|is no folder)/,
  });
  using above = makeMachine({ "work/.oxydra/workspaces": "a file" });
  await assert.rejects(prepare(above), { code: "config_invalid", message: /a file is in its place/ });
  using dangling = makeMachine({ "work/.oxydra/workspaces/default/.keep": "" });
  await Deno.symlink("/nowhere/at/all", join(dangling.cwd, ".oxydra/workspaces/default/shared"));
  await assert.rejects(prepare(dangling), { code: "config_invalid", message: /a link leads to nowhere/ });
});

Deno.test("prepareWorkspace() lets two starts at once have the same folders", async () => {
  using machine = makeMachine();
  const [one, two] = await Promise.all([prepare(machine), prepare(machine)]);
  assert.deepEqual(one, two);
});

Deno.test("findDenoDir() looks where Deno looks", async () => {
  const cases: readonly (readonly [env: Record<string, string>, os: string, expected: string])[] = [
    [{ DENO_DIR: "/d", XDG_CACHE_HOME: "/x", HOME: "/h" }, "linux", "/d"],
    [{ DENO_DIR: "", XDG_CACHE_HOME: "/x", HOME: "/h" }, "linux", "/x/deno"],
    [{ HOME: "/h" }, "linux", "/h/.cache/deno"],
    [{ HOME: "/h" }, "darwin", "/h/Library/Caches/deno"],
    [{}, "linux", join(homedir(), ".cache/deno")],
  ];
  for (const [env, os, expected] of cases) assert.equal(await findDenoDir(env, os), expected);
});
