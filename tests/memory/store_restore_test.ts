import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { AppError } from "#/core/error.ts";
import { MIGRATIONS } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { restoreStore } from "#/memory/store_restore.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";
import { DAMAGES, inFolder, makeStore, namesIn, textsOf } from "./store_kit.ts";

const now = Date.now;

/** A folder with a backup of 2 events and a store of 3. */
async function withBoth(body: (at: { folder: string; from: string; path: string }) => Promise<void> | void) {
  await inFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/internal`);
    const at = { folder, from: `${folder}/b.db`, path: `${folder}/internal/a.db` };
    await makeStore(at.from, 2, "old");
    Deno.removeSync(`${at.from}.lock`);
    await makeStore(at.path, 3, "new");
    await body(at);
  });
}

Deno.test("restoreStore() puts the backup in the place of the store, and keeps what was there", async () => {
  await withBoth(async ({ folder, from, path }) => {
    const before = Deno.readFileSync(from);
    const { replaced, ...facts } = await restoreStore({ from, path, stamp: "1", now });
    assert.deepEqual([facts.sessions, facts.events, replaced], [1, 2, `${path}.replaced-1`]);
    assert.deepEqual([textsOf(path), textsOf(replaced!)], [["old0", "old1"], ["new0", "new1", "new2"]]);
    assert.deepEqual(namesIn(`${folder}/internal`), ["a.db", "a.db.lock", "a.db.replaced-1"]);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.deepEqual(Deno.readFileSync(from), before);
    // And back again.
    await restoreStore({ from: replaced!, path, stamp: "2", now });
    assert.deepEqual(textsOf(path), ["new0", "new1", "new2"]);
    const log = await openEventLog({ path, now: Date.now });
    assert.equal((await log.read("s", { fromSeq: 1, limit: 9, types: ["user_message"] })).length, 3);
    await log.close();
  });
});

Deno.test("restoreStore() ends the turns that ran when the backup was made, and leaves parked and ended ones alone", async () => {
  await withBoth(async ({ from, path }) => {
    const log = await openEventLog({ path: from, now });
    for (
      const [turn, end] of [["open", SAMPLES.tool_intent], ["parked", SAMPLES.parked], [
        "done",
        SAMPLES.turn_done,
      ]] as const
    ) {
      await log.append("s", turn, [messageOf(turn), end], { durability: "full" });
    }
    const before = (await log.openTurns()).length;
    await log.close();
    const { turnsEnded } = await restoreStore({ from, path, stamp: "1", now });
    assert.equal(turnsEnded, before);
    const restored = await openEventLog({ path, now });
    assert.deepEqual(await restored.openTurns(), []);
    assert.deepEqual(await restored.parkedTurns(), [{ session: "s", turn: "parked" }]);
    const types = async (turn: string) => (await restored.turn("s", turn)).map(({ type }) => type);
    assert.deepEqual(await types("open"), ["user_message", "tool_intent", "turn_cancelled"]);
    assert.deepEqual(await types("done"), ["user_message", "turn_done"]);
    await restored.close();
  });
});

Deno.test("restoreStore() makes a store where there was none, and an old one is led on at the next open", async () => {
  await inFolder(async (folder) => {
    const old = await openEventLog({ path: `${folder}/b.db`, now: Date.now, migrations: MIGRATIONS.slice(0, 1) });
    await old.ensureSession(sessionOf("s"));
    await old.close();
    const restored = await restoreStore({ from: `${folder}/b.db`, path: `${folder}/internal/a.db`, stamp: "1", now });
    assert.deepEqual([restored.replaced, restored.schema], [undefined, 1]);
    const log = await openEventLog({ path: `${folder}/internal/a.db`, now: Date.now });
    assert.equal((await log.session("s"))!.id, "s");
    await log.close();
  });
});

Deno.test("restoreStore() keeps the write-ahead log of a killed process with its store, and away from the new one", async () => {
  for (const isDamaged of [false, true]) {
    await withBoth(async ({ folder, from, path }) => {
      const db = new DatabaseSync(path);
      db.exec("PRAGMA journal_mode=WAL; UPDATE events SET payload = replace(payload, 'new0', 'walled')");
      const files = ["", "-wal"].map((part) => [part, Deno.readFileSync(path + part)] as const);
      db.close();
      for (const [part, bytes] of files) Deno.writeFileSync(path + part, bytes);
      if (isDamaged) {
        using file = Deno.openSync(path, { write: true });
        file.writeSync(new TextEncoder().encode("no database any more"));
        Deno.removeSync(`${path}-wal`);
        Deno.writeTextFileSync(`${path}-wal`, "no log either");
      }
      const { replaced } = await restoreStore({ from, path, stamp: "1", now });
      assert.deepEqual(textsOf(path), ["old0", "old1"]);
      if (isDamaged) {
        assert.match(Deno.readTextFileSync(replaced!), /^no database any more/);
        assert.equal(Deno.readTextFileSync(`${replaced}-wal`), "no log either");
      } else assert.deepEqual(textsOf(replaced!), ["walled", "new1", "new2"]);
      assert.deepEqual(namesIn(`${folder}/internal`).filter((name) => /^a\.db-|restore/.test(name)), []);
    });
  }
});

Deno.test("restoreStore() refuses each damaged backup and leaves every byte", async () => {
  await withBoth(async ({ folder, from, path }) => {
    const [backup, store] = [Deno.readFileSync(from), Deno.readFileSync(path)];
    for (const [what, damage, code, message] of DAMAGES) {
      Deno.writeFileSync(from, backup);
      damage(from);
      try {
        await restoreStore({ from, path, stamp: "1", now });
        assert.fail(`${what} was taken`);
      } catch (error) {
        assert.ok(hasCode(code)(error), `${what}: ${error}`);
        assert.match((error as AppError).message, message, what);
        assert.match((error as AppError).message, /^b\.db .*nothing was changed/, what);
      }
      assert.deepEqual(Deno.readFileSync(path), store, what);
      assert.deepEqual(namesIn(`${folder}/internal`), ["a.db", "a.db.lock"], what);
    }
  });
});

Deno.test("restoreStore() refuses while somebody has the store open, and to take a name that is taken", async () => {
  await withBoth(async ({ from, path }) => {
    const log = await openEventLog({ path, now: Date.now });
    await assert.rejects(restoreStore({ from, path, stamp: "1", now }), hasCode("lock_held"));
    await log.close();
    Deno.writeTextFileSync(`${path}.replaced-1`, "precious");
    await assert.rejects(restoreStore({ from, path, stamp: "1", now }), hasCode("store_failed"));
    assert.equal(Deno.readTextFileSync(`${path}.replaced-1`), "precious");
    assert.deepEqual(textsOf(path), ["new0", "new1", "new2"]);
    await restoreStore({ from, path, stamp: "2", now });
  });
});
