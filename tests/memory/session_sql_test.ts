import assert from "node:assert/strict";
import { migrate } from "#/memory/migrations.ts";
import * as SQL from "#/memory/session_sql.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";

Deno.test("every statement of src/memory/session_sql.ts is one that SQLite prepares over the schema", async () => {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  try {
    await migrate(driver, 0);
    const statements = Object.values(SQL).flat();
    assert.ok(statements.length >= 24);
    for (const sql of statements) {
      const values = Array.from(
        { length: Math.max(0, ...[...sql.matchAll(/\?(\d)/g)].map(([, n]) => Number(n))) },
        () => null,
      );
      await driver.all({ sql: `EXPLAIN ${sql}`, values });
    }
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the page of a list reads the index of a user's sessions, and copies no table", async () => {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  try {
    await migrate(driver, 0);
    const rows = await driver.all({ sql: `EXPLAIN QUERY PLAN ${SQL.PAGE}`, values: [1, "u", 0, null, 9, "", 9, ""] });
    const plan = rows.map((row) => String(row["detail"])).join("\n");
    assert.match(plan, /SEARCH s USING INDEX sessions_by_user/);
    assert.ok(!plan.includes("SCAN e") && !plan.includes("SCAN t"), plan);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
});
