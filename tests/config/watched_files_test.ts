import assert from "node:assert/strict";
import { join } from "node:path";
import { listConfigFiles } from "#/config/watched_files.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("listConfigFiles() names what each layer may hold, there or not, the user's file and the trust list", async () => {
  using machine = makeMachine({
    "home/.config/oxydra/runner.toml": `default_tier = "process"\n[users.ann]\nconfig_path = "users/ann.toml"\n`,
    "home/.config/oxydra/users/ann.toml": "",
  });
  const { root, home, cwd } = machine;
  const files = listConfigFiles(await machine.load(), join(root, "system"));
  for (
    const folder of [join(root, "system"), join(home, ".config/oxydra"), join(home, ".oxydra"), join(cwd, ".oxydra")]
  ) {
    for (const name of ["agent.toml", "providers.toml", "runner.toml", "model_catalog.json"]) {
      assert.ok(files.includes(join(folder, name)), `${folder}/${name}`);
    }
  }
  assert.ok(files.includes(join(home, ".config/oxydra/users/ann.toml")));
  assert.ok(files.includes(join(home, ".config/oxydra/trusted.json")));
  assert.equal(new Set(files).size, files.length);
  const named = listConfigFiles(
    await machine.load({ configDir: home, home: undefined, user: "ann" }).catch(() => machine.load()),
  );
  assert.ok(named.includes("/etc/oxydra/agent.toml"));
});
