import assert from "node:assert/strict";
import { toEnginePlace, toTierOptions, toWorkspaceId } from "#/runner/tier_options.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

Deno.test("toEnginePlace() takes the two names that say where an engine is, and no empty one", () => {
  const uid = Deno.uid() ?? 0;
  const set = { DOCKER_HOST: "unix:///d", XDG_RUNTIME_DIR: "/run/user/7", OTHER: "x" };
  assert.deepEqual(toEnginePlace(set), { dockerHost: "unix:///d", runtimeDir: "/run/user/7", uid });
  assert.deepEqual(toEnginePlace({ XDG_RUNTIME_DIR: "" }), { dockerHost: "", uid });
});

Deno.test("toWorkspaceId() is the same for one workspace and another for the next", async () => {
  const [id, again, other] = await Promise.all(["/w/ann", "/w/ann", "/w/bob"].map((root) => toWorkspaceId({ root })));
  assert.match(id!, /^[0-9a-f]{12}$/);
  assert.equal(again, id);
  assert.notEqual(other, id);
});

Deno.test("toTierOptions() makes an image of its own only under the name that ships, and passes on what an engine says", async () => {
  const folders = makeFolders();
  const place = { user: "ann", folders, program: thisProgram(), env: { DOCKER_HOST: "unix:///d" } };
  const said: string[] = [];
  const own = await toTierOptions({ ...place, image: "shell-vm:latest" }, (line) => said.push(line));
  const { engine, ...rest } = own;
  assert.deepEqual(rest, { user: "ann", dir: folders.run, pdeathsig: thisProgram().setprivPath ?? undefined });
  assert.deepEqual([engine!.isOwnImage, engine!.workspace], [true, await toWorkspaceId(folders)]);
  engine!.onLog("built");
  assert.deepEqual(said, ["built"]);
  const mine = await toTierOptions({ ...place, image: "mine:1" });
  assert.deepEqual([mine.engine!.isOwnImage, mine.engine!.image], [false, "mine:1"]);
});
