import assert from "node:assert/strict";
import { join } from "node:path";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { SRC } from "../fixture/source_tree.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

Deno.test("writeGuestLock() writes our lock for the guest alone, from a file and from the module graph", async () => {
  const ours = JSON.parse(await Deno.readTextFile(join(SRC, "../deno.lock")));
  for (const source of ["file", "url"] as const) {
    const path = join(makeFolders().run, "guest.lock");
    await writeGuestLock({ ...thisProgram(), source }, path);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), ours, source);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }
});

Deno.test("writeGuestLock() that cannot write is a guest that cannot start", async () => {
  await assert.rejects(writeGuestLock(thisProgram(), "/nowhere/guest.lock"), { code: "guest_failed" });
});
