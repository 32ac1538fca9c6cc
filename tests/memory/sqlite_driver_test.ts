import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";

const NORMAL = { durability: "normal" } as const;
const FULL = { durability: "full" } as const;

Deno.test("SqliteDriver binds and gives back each kind of value", async () => {
  await withDriver(async (driver) => {
    const values = [null, 7, Number.MIN_SAFE_INTEGER, 1.5, "", "ä\u{1f30a}", new Uint8Array([0, 255])];
    const [row] = await driver.all({ sql: "SELECT ?1 a, ?2 b, ?3 c, ?4 d, ?5 e, ?6 f, ?7 g, typeof(?2) h", values });
    assert.deepEqual(Object.values(row!), [...values, "integer"]);
  });
});

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

Deno.test("SqliteDriver.transaction() does all or nothing and is usable after an error", async () => {
  await withDriver(async (driver) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER NOT NULL UNIQUE)" }], NORMAL);
    const insert = (a: number | null) => ({ sql: "INSERT INTO t VALUES (?1) RETURNING a", values: [a] });
    assert.deepEqual(await rowsOf(driver.transaction([insert(1), insert(2)], FULL)), [[{ a: 1 }], [{ a: 2 }]]);
    for (const bad of [insert(null), insert(1)]) {
      await assert.rejects(driver.transaction([insert(3), bad], FULL), hasReason("store_failed", "constraint"));
    }
    await assert.rejects(driver.transaction([insert(3), { sql: "nonsense" }], FULL), /syntax error/);
    await assert.rejects(
      driver.transaction([insert(3), { sql: "SELECT ?1", values: [true as never] }], FULL),
      TypeError,
    );
    assert.deepEqual(await rowsOf(driver.transaction([insert(4)], FULL)), [[{ a: 4 }]]);
    assert.deepEqual((await driver.all({ sql: "SELECT a FROM t ORDER BY a" })).map((row) => row["a"]), [1, 2, 4]);
  });
});

Deno.test("SqliteDriver takes calls in their order without waiting between them", async () => {
  await withDriver(async (driver) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER)" }], NORMAL);
    const insert = (a: number) => ({ sql: "INSERT INTO t VALUES (?1)", values: [a] });
    const calls = Array.from({ length: 50 }, (_, a) => driver.transaction([insert(a)], a % 2 === 0 ? NORMAL : FULL));
    const seen = await driver.all({ sql: "SELECT a FROM t ORDER BY rowid" });
    assert.deepEqual(seen.map((row) => row["a"]), calls.map((_, a) => a));
    await Promise.all(calls);
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

Deno.test("SqliteDriver refuses calls after close(), twice is once", async () => {
  await withDriver(async (driver) => {
    await driver.close();
    await driver.close();
    await assert.rejects(driver.all({ sql: "SELECT 1" }), hasReason("store_failed", "closed"));
    await assert.rejects(driver.transaction([{ sql: "SELECT 1" }], FULL), hasReason("store_failed", "closed"));
  });
});

Deno.test("SqliteDriver that is read-only changes nothing and makes no file", async () => {
  await withDriver(async (driver, folder) => {
    await driver.transaction([{ sql: "CREATE TABLE t (a)" }], NORMAL);
    await driver.close();
    const options = { path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576, isReadOnly: true };
    const reader = new SqliteDriver(options);
    assert.deepEqual(await reader.all({ sql: "SELECT a FROM t" }), []);
    await assert.rejects(reader.all({ sql: "INSERT INTO t VALUES (1)" }), hasReason("store_failed", "readonly"));
    await reader.close();
    assert.throws(() => new SqliteDriver({ ...options, path: `${folder}/absent.db` }), hasReason("store_failed", "io"));
    assert.throws(() => new SqliteDriver({ ...options, path: folder }), hasReason("store_failed", "io"));
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

async function rowsOf(results: Promise<readonly (readonly object[])[]>): Promise<unknown> {
  return (await results).map((rows) => rows.map((row) => ({ ...row })));
}

function hasReason(code: string, reason: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code && error.params["reason"] === reason;
}
