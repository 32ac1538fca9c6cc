import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LIMITS } from "#/core/limits.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { hasCode, testSqlDriver } from "../contract/sql_driver_contract.ts";

testSqlDriver("SqliteDriver", (body) => withDriver(body));

const NORMAL = { durability: "normal" } as const;
const FULL = { durability: "full" } as const;

Deno.test("SqliteDriver.transaction() syncs at each commit that asks for it, and at no other", async () => {
  await withDriver(async (driver) => {
    const synchronous = async (options: typeof NORMAL | typeof FULL) => {
      const [rows] = await driver.transaction([{ sql: "SELECT synchronous FROM pragma_synchronous" }], options);
      return rows![0]!["synchronous"];
    };
    assert.deepEqual([await synchronous(NORMAL), await synchronous(FULL), await synchronous(FULL)], [1, 2, 2]);
    assert.deepEqual([await synchronous(NORMAL), await synchronous(FULL)], [1, 2]);
  });
});

Deno.test("SqliteDriver.transaction() leaves a programmer's errors what they are", async () => {
  await withDriver(async (driver) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER)" }], NORMAL);
    const good = { sql: "INSERT INTO t VALUES (1)" };
    await assert.rejects(driver.transaction([good, { sql: "nonsense" }], FULL), /syntax error/);
    await assert.rejects(driver.transaction([good, { sql: "SELECT ?1", values: [true as never] }], FULL), TypeError);
    assert.deepEqual(await driver.all({ sql: "SELECT a FROM t" }), []);
  });
});

Deno.test("SqliteDriver.transaction() commits together what is asked for together, at the strongest durability", async () => {
  await withDriver(async (driver, folder) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER)" }], NORMAL);
    const pages = () => Math.floor(Deno.statSync(`${folder}/a.db-wal`).size / 4_096);
    const before = pages();
    const writes = Array.from({ length: 100 }, (_, at) => {
      const insert = { sql: "INSERT INTO t VALUES (?1)", values: [at] };
      return driver.transaction(
        [insert, { sql: "SELECT synchronous FROM pragma_synchronous" }],
        at === 50 ? FULL : NORMAL,
      );
    });
    const results = await Promise.all(writes);
    // One commit writes the one page that all of them changed; a hundred would have written a hundred.
    assert.ok(pages() - before <= 2, `${pages() - before} pages`);
    assert.deepEqual(new Set(results.map((rows) => rows[1]![0]!["synchronous"])), new Set([2]));
  });
});

Deno.test("SqliteDriver.transaction() lets in what a slow commit held up, and waits for nobody after a fast one", async () => {
  await withDriver(async (driver, folder) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER)" }], NORMAL);
    const count = (to: number) =>
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${to}) SELECT count(*) FROM n`;
    const pages = () => Math.floor(Deno.statSync(`${folder}/a.db-wal`).size / 4_096);
    const insert = () => driver.transaction([{ sql: "INSERT INTO t VALUES (1)" }], NORMAL);
    for (const [rounds, commits] of [[1_000_000, 1], [1, 2]] as const) {
      await driver.transaction([{ sql: count(rounds) }], NORMAL);
      const before = pages();
      // Comes in by itself, as from the network, before the first one is written if that waits.
      const other = new Promise((resolve) => setImmediate(() => resolve(insert())));
      await Promise.all([insert(), other]);
      assert.equal(pages() - before, commits, `after ${rounds}`);
    }
  });
});

Deno.test("SqliteDriver.transaction() waits once for a foreign writer, not once for each that waits with it", async () => {
  await withDriver(async (driver, folder) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER)" }], NORMAL);
    const foreign = new DatabaseSync(`${folder}/a.db`);
    foreign.exec("BEGIN IMMEDIATE");
    const writes = Array.from({ length: 50 }, () => driver.transaction([{ sql: "INSERT INTO t VALUES (1)" }], FULL));
    const ends = await Promise.allSettled(writes);
    assert.ok(ends.every((end) => end.status === "rejected" && hasCode("store_failed", "busy")(end.reason)));
    // Rejected in one go: had each waited for its own, the first would have been told `storeBusyMs` before the second.
    foreign.exec("ROLLBACK");
    foreign.close();
    await driver.transaction([{ sql: "INSERT INTO t VALUES (1)" }], FULL);
    assert.equal((await driver.all({ sql: "SELECT a FROM t" })).length, 1);
  });
});

Deno.test("SqliteDriver keeps temporary files in memory and bounds its files", async () => {
  await withDriver(async (driver) => {
    const read = async (name: string) => Object.values((await driver.all({ sql: `PRAGMA ${name}` }))[0]!)[0];
    assert.equal(await read("journal_mode"), "wal");
    assert.equal(await read("temp_store"), 2);
    assert.equal(await read("trusted_schema"), 0);
    assert.equal(await read("cell_size_check"), 1);
    assert.equal(await read("foreign_keys"), 1);
    assert.equal(await read("fullfsync"), 1);
    assert.equal(await read("journal_size_limit"), LIMITS.walBytesMax);
    assert.equal(await read("max_page_count"), 256);
    assert.equal(await read("busy_timeout"), LIMITS.storeBusyMs);
  });
});

Deno.test("SqliteDriver.check() passes whole tables and names what is wrong with one", async () => {
  await withDriver(async (driver) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a TEXT)" }, { sql: "CREATE INDEX i ON t (a)" }], NORMAL);
    driver.check(["t"]);
    await driver.transaction([{ sql: "INSERT INTO t VALUES ('x')" }], NORMAL);
    driver.check(["t"]);
    assert.throws(() => driver.check(["absent"]), /no such table/);
  });
});

Deno.test("SqliteDriver that is read-only changes nothing and makes no file", async () => {
  await withDriver(async (driver, folder) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a)" }], NORMAL);
    await driver.close();
    const options = { path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576, isReadOnly: true };
    const reader = new SqliteDriver(options);
    assert.deepEqual(await reader.all({ sql: "SELECT a FROM t" }), []);
    await assert.rejects(reader.all({ sql: "INSERT INTO t VALUES (1)" }), hasCode("store_failed", "readonly"));
    await reader.close();
    assert.throws(() => new SqliteDriver({ ...options, path: `${folder}/absent.db` }), hasCode("store_failed", "io"));
    assert.throws(() => new SqliteDriver({ ...options, path: folder }), hasCode("store_failed", "io"));
  });
});

async function withDriver(body: (driver: SqliteDriver, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  try {
    await body(driver, folder);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
}
