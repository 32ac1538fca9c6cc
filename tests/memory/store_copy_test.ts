import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { AppError } from "#/core/error.ts";
import { MIGRATIONS } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { copyStore, sync, verifyStore } from "#/memory/store_copy.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";
import { messageOf, sessionOf } from "../contract/event_samples.ts";
import { change, DAMAGES, inFolder, makeStore, namesIn, textsOf, WORDS } from "./store_kit.ts";

Deno.test("copyStore() copies a store that is written to, as it is at one moment, into one file of mode 0600", async () => {
  await inFolder(async (folder) => {
    const log = await openEventLog({ path: `${folder}/a.db`, now: Date.now });
    await log.ensureSession(sessionOf("s"));
    const batch = [messageOf("1"), messageOf("2"), messageOf("3")];
    let isCopied = false;
    const writing = (async () => {
      for (let at = 0; !isCopied; at++) await log.append("s", `t${at}`, batch, { durability: "normal" });
    })();
    Deno.mkdirSync(`${folder}/to`);
    const facts = await copyStore(`${folder}/a.db`, `${folder}/to/b.db`, "a.db");
    isCopied = true;
    await writing;
    await log.close();
    assert.deepEqual(namesIn(`${folder}/to`), ["b.db"]);
    const { size, mode } = Deno.statSync(`${folder}/to/b.db`);
    assert.deepEqual([facts.bytes, facts.schema, facts.sessions, mode! & 0o777], [size, MIGRATIONS.length, 1, 0o600]);
    assert.equal(facts.events, textsOf(`${folder}/to/b.db`).length);
    assert.equal(facts.events % batch.length, 0, "half an append");
    const restored = await openEventLog({ path: `${folder}/to/b.db`, now: Date.now });
    assert.equal((await restored.append("s", "t", batch, { durability: "full" }))[0]!.seq, facts.events + 1);
    await restored.close();
  });
});

Deno.test("copyStore() takes what only the write-ahead log of a killed process has", async () => {
  await inFolder(async (folder) => {
    await makeStore(`${folder}/a.db`, 2);
    const db = new DatabaseSync(`${folder}/a.db`);
    db.exec("PRAGMA journal_mode=WAL; UPDATE events SET payload = replace(payload, 'x0', 'walled')");
    // The files of a process that was killed: nobody has brought the log into the database.
    for (const part of ["", "-wal"]) Deno.copyFileSync(`${folder}/a.db${part}`, `${folder}/killed.db${part}`);
    db.close();
    const before = Deno.readFileSync(`${folder}/killed.db`);
    await copyStore(`${folder}/killed.db`, `${folder}/b.db`, "a.db");
    assert.deepEqual(textsOf(`${folder}/b.db`), ["walled", "x1"]);
    assert.deepEqual(Deno.readFileSync(`${folder}/killed.db`), before);
  });
});

Deno.test("copyStore() refuses what is no store, with its name and without a path", async () => {
  await inFolder(async (folder) => {
    await makeStore(`${folder}/a.db`, 1);
    Deno.symlinkSync(`${folder}/a.db`, `${folder}/link.db`);
    Deno.writeTextFileSync(`${folder}/text.db`, "no database".repeat(999));
    Deno.writeTextFileSync(`${folder}/empty.db`, "");
    for (
      const [name, code, message] of [
        ["absent.db", "store_failed", /there is no oxydra\.db/],
        ["link.db", "store_failed", /is no plain file/],
        ["empty.db", "store_failed", /is empty/],
        ["text.db", "store_corrupt", /oxydra\.db/],
      ] as const
    ) {
      const end = await copyStore(`${folder}/${name}`, `${folder}/b.db`, "oxydra.db").catch((error: AppError) => error);
      assert.ok(hasCode(code)(end), `${name}: ${end}`);
      assert.match((end as AppError).message, message, name);
      assert.ok(!(end as AppError).message.includes(folder));
    }
  });
});

Deno.test("verifyStore() counts a whole store of any schema, and refuses each damage by its name", async () => {
  await inFolder(async (folder) => {
    await makeStore(`${folder}/whole.db`, 3);
    const { sessions, events, schema } = verifyStore(`${folder}/whole.db`, WORDS);
    assert.deepEqual([sessions, events, schema], [1, 3, MIGRATIONS.length]);
    const old = await openEventLog({ path: `${folder}/old.db`, now: Date.now, migrations: MIGRATIONS.slice(0, 1) });
    await old.close();
    assert.equal(verifyStore(`${folder}/old.db`, WORDS).schema, 1);
    for (const [what, damage, code, message] of DAMAGES) {
      Deno.copyFileSync(`${folder}/whole.db`, `${folder}/b.db`);
      damage(`${folder}/b.db`);
      const before = Deno.readFileSync(`${folder}/b.db`);
      try {
        verifyStore(`${folder}/b.db`, WORDS);
        assert.fail(`${what} was taken`);
      } catch (error) {
        assert.ok(hasCode(code)(error), `${what}: ${error}`);
        assert.match((error as AppError).message, message, what);
        assert.match((error as AppError).message, /^b\.db .*leave it/, what);
      }
      assert.deepEqual(Deno.readFileSync(`${folder}/b.db`), before, what);
    }
  });
});

Deno.test("sync() writes a file that is there, and no other", async () => {
  await inFolder(async (folder) => {
    await makeStore(`${folder}/a.db`, 1);
    sync(`${folder}/a.db`);
    change(`${folder}/a.db`, "SELECT 1");
    assert.throws(() => sync(`${folder}/absent`), Deno.errors.NotFound);
  });
});
