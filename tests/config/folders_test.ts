import assert from "node:assert/strict";
import { join } from "node:path";
import { findFolders, toProjectRoot } from "#/config/folders.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("findFolders() lists the layers from weakest to strongest", () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": "" });
  const { cwd, home, root } = machine;
  const { folders, project } = findFolders({ cwd, home, configDir: undefined, systemDir: join(root, "system") });
  assert.deepEqual(folders.map(({ layer, path }) => [layer, path]), [
    ["system", join(root, "system")],
    ["user", join(home, ".config", "oxydra")],
    ["user", join(home, ".oxydra")],
    ["project", join(cwd, ".oxydra")],
  ]);
  assert.equal(project, join(cwd, ".oxydra"));
  assert.deepEqual(folders.map(({ realPath }) => realPath !== undefined), [false, false, false, true]);
});

Deno.test("findFolders() counts a folder once: a person's own as theirs, ~/.oxydra as the project that it is", () => {
  using machine = makeMachine({ "home/.config/oxydra/agent.toml": "", "home/.oxydra/agent.toml": "" });
  const { home, root } = machine;
  const find = (cwd: string, configDir?: string) =>
    findFolders({ cwd, home, configDir, systemDir: join(root, "system") }).folders
      .filter(({ realPath }) => realPath !== undefined).map(({ layer, path }) => `${layer} ${path.slice(home.length)}`);
  assert.deepEqual(find(home), ["user /.config/oxydra", "project /.oxydra"]);
  assert.deepEqual(find(machine.cwd, join(home, ".config", "oxydra")), ["user /.config/oxydra", "user /.oxydra"]);
});

Deno.test("findFolders() takes --config as a folder or as its runner.toml, and nothing else", () => {
  using machine = makeMachine({ "work/conf/runner.toml": "", "work/conf/agent.toml": "" });
  const find = (configDir: string) =>
    findFolders({ cwd: machine.cwd, home: undefined, configDir, systemDir: join(machine.root, "system") });
  assert.equal(find("conf").project, join(machine.cwd, "conf"));
  assert.equal(find("conf/runner.toml").project, join(machine.cwd, "conf"));
  assert.match(find("conf/agent.toml").problems[0]!.sentence, /wants a folder/);
  assert.match(find("nope").problems[0]!.sentence, /no such folder/);
});

Deno.test("toProjectRoot() is the folder around .oxydra, else the folder itself", () => {
  assert.equal(toProjectRoot("/w/.oxydra"), "/w");
  assert.equal(toProjectRoot("/w/conf"), "/w/conf");
});
