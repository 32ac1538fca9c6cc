import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import {
  APPLICATION_ID,
  migrate,
  MIGRATIONS,
  readRemoteVersion,
  readSchemaVersion,
  REMOTE_MIGRATIONS,
  requireKnownVersion,
} from "#/memory/migrations.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";

Deno.test("migrate() runs each missing step once and in order", async () => {
  await withDriver(async (driver) => {
    assert.equal(await readSchemaVersion(driver, "a.db"), 0);
    await migrate(driver, 0);
    assert.equal(await readSchemaVersion(driver, "a.db"), MIGRATIONS.length);
    await migrate(driver, MIGRATIONS.length);
    const more = [...MIGRATIONS, ["CREATE TABLE x (a)"], ["INSERT INTO x VALUES (1)"]];
    await migrate(driver, MIGRATIONS.length, more);
    assert.equal(await readSchemaVersion(driver, "a.db"), more.length);
    assert.equal((await driver.all({ sql: "SELECT a FROM x" })).length, 1);
  });
});

Deno.test("migrate() undoes a step that fails half way", async () => {
  await withDriver(async (driver) => {
    const broken = [...MIGRATIONS, ["CREATE TABLE whole (a)"], [
      "CREATE TABLE half (a)",
      "INSERT INTO absent VALUES (1)",
    ]];
    await assert.rejects(migrate(driver, 0, broken), /no such table/);
    assert.equal(await readSchemaVersion(driver, "a.db"), MIGRATIONS.length + 1);
    assert.deepEqual(await driver.all({ sql: "SELECT 1 FROM sqlite_schema WHERE name = 'half'" }), []);
    assert.equal((await driver.all({ sql: "SELECT 1 FROM sqlite_schema WHERE name = 'whole'" })).length, 1);
  });
});

Deno.test("readSchemaVersion() refuses a database of another program", async () => {
  await withDriver(async (driver) => {
    await driver.all({ sql: "CREATE TABLE t (a)" });
    await assert.rejects(readSchemaVersion(driver, "a.db"), hasCode("store_corrupt"));
    await driver.all({ sql: "PRAGMA user_version=1" });
    await assert.rejects(readSchemaVersion(driver, "a.db"), hasCode("store_corrupt"));
  });
});

Deno.test("requireKnownVersion() takes every version up to the last step", () => {
  for (let version = 0; version <= MIGRATIONS.length; version++) requireKnownVersion(version, "a.db");
  assert.throws(() => requireKnownVersion(MIGRATIONS.length + 1, "a.db"), hasCode("store_newer"));
  requireKnownVersion(2, "a.db", [[], []]);
  assert.throws(() => requireKnownVersion(3, "a.db", [[], []]), hasCode("store_newer"));
});

Deno.test("REMOTE_MIGRATIONS are the same steps, with receipts in the place of the id that a server does not take", async () => {
  assert.equal(REMOTE_MIGRATIONS.length, MIGRATIONS.length);
  const changed = MIGRATIONS.flatMap((step, at) => step.filter((sql, i) => REMOTE_MIGRATIONS[at]![i] !== sql));
  assert.deepEqual(changed, [`PRAGMA application_id=${APPLICATION_ID}`]);
  await withDriver(async (driver) => {
    assert.equal(await readRemoteVersion(driver, "a.db"), 0);
    await migrate(driver, 0, REMOTE_MIGRATIONS);
    assert.equal(await readRemoteVersion(driver, "a.db"), MIGRATIONS.length);
    await driver.all({ sql: "DROP TABLE oxydra_receipts" });
    await assert.rejects(readRemoteVersion(driver, "a.db"), hasCode("store_corrupt"));
  });
});

Deno.test("requireKnownVersion() tells the owner of a remote store nothing of files", () => {
  assert.throws(() => requireKnownVersion(99, "remote store a.db:1"), (error: unknown) => {
    return hasCode("store_newer")(error) && !/\.bak/.test((error as Error).message);
  });
});

async function withDriver(body: (driver: SqliteDriver) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  try {
    await body(driver);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code && error.message.includes("a.db");
}
