import assert from "node:assert/strict";
import { isAlive, readChildren, readTree } from "#/sandbox/tier_tree.ts";

const MIB = 1_048_576;

Deno.test("readTree() sees what a process started, and what all of it holds", async () => {
  const hog = "$x = 'a' x (64 * 1048576); $p = fork; print 'ready'; $| = 1; print ' '; sleep 60";
  const child = new Deno.Command("sh", {
    args: ["-c", `perl -e "$0" & perl -e "$0"`, hog],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  for (let said = ""; said.split("ready").length < 5;) said += new TextDecoder().decode((await reader.read()).value);
  const children = readChildren(child.pid);
  assert.equal(children.length, 2);
  const plain = readTree(child.pid, 100, 10_000 * MIB);
  assert.equal(plain.processes, 5);
  // A fork shares its parent's pages until one of them writes: the plain sum counts them twice, the exact one does not.
  assert.ok(plain.memoryBytes > 4 * 64 * MIB, String(plain.memoryBytes));
  const exact = readTree(child.pid, 100, MIB);
  assert.ok(exact.memoryBytes > 2 * 64 * MIB && exact.memoryBytes < plain.memoryBytes * 0.8, String(exact.memoryBytes));
  assert.equal(readTree(child.pid, 2, MIB).processes, 3, "one more than the bound is enough to know");
  const all = [child.pid, ...children, ...children.flatMap(readChildren)];
  assert.ok(all.every(isAlive));
  for (const pid of all) Deno.kill(pid, "SIGKILL");
  await Promise.all([child.status, reader.cancel()]);
  assert.deepEqual([isAlive(child.pid), readChildren(child.pid), readTree(child.pid, 9, 9).memoryBytes], [
    false,
    [],
    0,
  ]);
});
