/** What a guest, or whoever hands over a backup, can do to the person who makes or restores one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeMachine, runOxydra } from "../fixture/system.ts";
import { change, makeStore, namesIn, textsOf } from "../memory/store_kit.ts";

async function withMachine(
  body: (machine: { cwd: string; env: Record<string, string>; internal: string }) => Promise<void>,
): Promise<void> {
  const machine = await makeMachine();
  const internal = join(machine.cwd, ".oxydra/workspaces/default/internal");
  Deno.mkdirSync(internal, { recursive: true, mode: 0o700 });
  await makeStore(join(internal, "oxydra.db"), 2, "mine");
  try {
    await body({ ...machine, internal });
  } finally {
    await Deno.remove(join(machine.cwd, ".."), { recursive: true });
  }
}

Deno.test("a backup that brings code or tables of its own is not restored", async () => {
  await withMachine(async (machine) => {
    const backup = join(machine.cwd, "b.db");
    for (
      const sql of [
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN UPDATE events SET payload = 'theirs'; END",
        "CREATE VIEW sessions_ AS SELECT load_extension('x')",
        "CREATE TABLE oxydra_extra (a DEFAULT (randomblob(9)))",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "DROP INDEX turns_open; CREATE INDEX turns_open ON turns (abs(id)) WHERE state = 'open'",
      ]
    ) {
      if (namesIn(machine.cwd).includes("b.db")) Deno.removeSync(backup);
      await makeStore(backup, 1, "theirs");
      change(backup, sql);
      const { code, err } = await runOxydra(["restore", "b.db"], machine);
      assert.equal(code, 1, sql);
      assert.match(err, /tables that no version of this program made: nothing was changed/, sql);
      assert.deepEqual(textsOf(join(machine.internal, "oxydra.db")), ["mine0", "mine1"]);
    }
  });
});

Deno.test("a link in the place of the event log, of its folder or of a file beside it gives nothing away", async () => {
  await withMachine(async (machine) => {
    const other = join(machine.cwd, "../theirs.db");
    await makeStore(other, 3, "private");
    const path = join(machine.internal, "oxydra.db");
    Deno.renameSync(path, `${path}.away`);
    Deno.symlinkSync(other, path);
    const linked = await runOxydra(["backup", "b.db"], machine);
    assert.equal(linked.code, 1);
    assert.match(linked.err, /is no plain file/);
    // What a restore writes beside the log, a guest can have put there first.
    Deno.removeSync(path);
    Deno.renameSync(`${path}.away`, path);
    assert.equal((await runOxydra(["backup", "b.db"], machine)).code, 0);
    const precious = join(machine.cwd, "../precious");
    Deno.writeTextFileSync(precious, "precious");
    for (const name of ["oxydra.db.restore", "oxydra.db.restore-wal", "oxydra.db-journal"]) {
      Deno.symlinkSync(precious, join(machine.internal, name));
      await runOxydra(["restore", "b.db"], machine);
      assert.equal(Deno.readTextFileSync(precious), "precious", name);
      await Deno.remove(join(machine.internal, name)).catch(() => {});
    }
    Deno.renameSync(machine.internal, `${machine.internal}-away`);
    Deno.symlinkSync(join(machine.cwd, ".."), machine.internal);
    Deno.renameSync(other, join(machine.cwd, "../oxydra.db"));
    const folder = await runOxydra(["backup", "c.db"], machine);
    assert.ok(folder.code !== 0);
    assert.ok(!namesIn(machine.cwd).includes("c.db"));
  });
});

Deno.test("a backup into a folder of an agent, also by a link, is refused", async () => {
  await withMachine(async (machine) => {
    const workspace = join(machine.internal, "..");
    Deno.mkdirSync(join(workspace, "shared/deep"), { recursive: true });
    Deno.symlinkSync(join(workspace, "shared/deep"), join(machine.cwd, "out"));
    for (
      const place of [
        join(workspace, "shared/b.db"),
        "out/b.db",
        join(machine.internal, "b.db"),
        join(workspace, "b.db"),
      ]
    ) {
      const { code, err } = await runOxydra(["backup", place], machine);
      assert.equal(code, 2, place);
      assert.match(err, /where an agent could reach it/);
    }
    assert.deepEqual(namesIn(join(workspace, "shared/deep")), []);
  });
});
