import assert from "node:assert/strict";
import { join } from "node:path";
import { LayerReader } from "#/config/layers.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("LayerReader reads a folder's three files in their order and gathers every problem", async () => {
  using machine = makeMachine({
    "work/.oxydra/agent.toml": "[selection]\nmodel = 'a'\nnope = 1",
    "work/.oxydra/providers.toml": "[selection]\nmodel = 'b'",
    "work/.oxydra/runner.toml": "x = [",
  });
  const path = join(machine.cwd, ".oxydra");
  const reader = new LayerReader(machine.cwd, machine.home);
  const sources = await reader.readFolder({ layer: "project", path, realPath: path });
  assert.deepEqual(sources.map(({ place, trusted }) => [place, trusted]), [
    [".oxydra/agent.toml", false],
    [".oxydra/providers.toml", false],
  ]);
  assert.deepEqual(reader.problems.map(({ place, line, key }) => [place, line, key]), [
    [".oxydra/agent.toml", 3, "selection.nope"],
    [".oxydra/runner.toml", 1, ""],
  ]);
});

Deno.test("LayerReader reads figment's profiles default and global, and says what it does not read", async () => {
  const text = "[default.runtime]\nmax_turns = 1\n[global.runtime]\nmax_turn = 2\n[debug.runtime]\nmax_turns = 3";
  using machine = makeMachine({ "system/agent.toml": text });
  const path = join(machine.root, "system");
  const reader = new LayerReader(machine.cwd, undefined);
  const sources = await reader.readFolder({ layer: "system", path, realPath: path });
  assert.deepEqual(sources.map(({ tree }) => JSON.stringify(tree)), ['{"runtime":{"max_turns":1}}', '{"runtime":{}}']);
  assert.deepEqual(reader.problems.map(({ line, key }) => [line, key]), [[5, "debug"], [4, "global.runtime.max_turn"]]);
});

Deno.test("LayerReader says when the list of trusted files cannot be believed", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": "", "home/.config/oxydra/trusted.json": "no" });
  const path = join(machine.cwd, ".oxydra");
  const reader = new LayerReader(machine.cwd, machine.home);
  await reader.readFolder({ layer: "project", path, realPath: path });
  assert.equal(reader.problems.length, 1);
  assert.match(reader.problems[0]!.sentence, /trusted\.json/);
});

Deno.test("LayerReader.readUser() reads a user's file below `user`", async () => {
  using machine = makeMachine({ "work/u.toml": "[behavior]\ntimezone = 'Mars/Olympus'" });
  const reader = new LayerReader(machine.cwd, undefined);
  assert.equal((await reader.readUser(join(machine.cwd, "u.toml"), "user", undefined))?.length, 1);
  assert.match(reader.problems[0]!.sentence, /IANA time zone/);
  assert.equal(await reader.readUser(join(machine.cwd, "gone.toml"), "user", undefined), undefined);
});
