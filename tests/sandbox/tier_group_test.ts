import assert from "node:assert/strict";
import { join } from "#/lib/path.ts";
import { openGroups, sweepGroups, toGroupName } from "#/sandbox/tier_group.ts";
import { LIMITS_OF_TESTS } from "./wall_kit.ts";

const MIB = 1_048_576;

/** Folders that stand for the kernel's: it makes the files of a group, here each folder has to be given them. */
function makeTree(files: Readonly<Record<string, string>>): string {
  const root = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries(files)) {
    Deno.mkdirSync(join(root, name, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, name), text);
  }
  return root;
}

Deno.test("openGroups() bounds a process by the kernel's own groups, and removes them", async () => {
  if (Deno.uid() !== 0) return;
  const name = toGroupName("t", crypto.randomUUID().slice(0, 8));
  const groups = openGroups(name, { ...LIMITS_OF_TESTS, processesMax: 7, memoryBytesMax: 64 * MIB, cpusMax: 1 });
  assert.ok(groups.dirs.length > 0, "this machine has no groups to be made by root");
  assert.deepEqual(groups.holds, { memory: false, processes: false, cpus: false }, "nobody is in it yet");
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  for (const dir of groups.dirs) {
    Deno.writeTextFileSync(join(dir, "cgroup.procs"), String(child.pid), { create: false });
  }
  assert.equal(groups.holds.memory && groups.holds.processes, true);
  assert.equal(groups.remove(), 0, "not while somebody is in it");
  child.kill("SIGKILL");
  await child.status;
  assert.equal(groups.hasRunOut(), false);
  assert.equal(groups.remove(), groups.dirs.length);
});

Deno.test("openGroups() makes its groups beside its own one where that was given to it", () => {
  const mount = makeTree({ "cgroup.controllers": "cpu memory pids", "a.service/runner/cgroup.procs": "1" });
  const own = join(mount, "own");
  Deno.writeTextFileSync(own, "0::/a.service/runner\n");
  Deno.mkdirSync(join(mount, "a.service/oxydra.t.x"));
  // Without the kernel no file is in a new group, so it bounds nothing, and is taken away again.
  assert.deepEqual(openGroups("oxydra.t.x", LIMITS_OF_TESTS, { mount, own }).dirs, []);
  assert.deepEqual([...Deno.readDirSync(join(mount, "a.service"))].map(({ name }) => name), ["runner"]);
  Deno.removeSync(mount, { recursive: true });
});

Deno.test("openGroups() holds nothing where nobody may make one", () => {
  const mount = join(Deno.makeTempDirSync(), "nowhere");
  const groups = openGroups("oxydra.t.x", LIMITS_OF_TESTS, { mount, own: join(mount, "own") });
  assert.deepEqual([groups.dirs, groups.holds, groups.hasRunOut(), groups.remove()], [
    ...[[], { memory: false, processes: false, cpus: false }, false, 0],
  ]);
});

Deno.test("sweepGroups() removes what a killed runner of this user left, and nobody else's", () => {
  const mount = makeTree({ "own": "0::/\n" });
  const mine = ["memory/oxydra.al.s1", "pids/oxydra.al.s1", "oxydra.al.s2"];
  const others = ["pids/oxydra.al-x.s1", "pids/docker"];
  for (const dir of [...mine, ...others]) Deno.mkdirSync(join(mount, dir), { recursive: true });
  assert.equal(sweepGroups("al", { mount, own: join(mount, "own") }), mine.length);
  for (const dir of others) assert.ok(Deno.statSync(join(mount, dir)).isDirectory);
  Deno.removeSync(mount, { recursive: true });
});
