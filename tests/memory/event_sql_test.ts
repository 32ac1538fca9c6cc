import assert from "node:assert/strict";
import * as SQL from "#/memory/event_sql.ts";
import { migrate, REMOTE_MIGRATIONS } from "#/memory/migrations.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";

Deno.test("every question of the log goes by an index and reads no table from end to end", async () => {
  const folder = await Deno.makeTempDir();
  const driver = new SqliteDriver({ path: `${folder}/a.db`, name: "a.db", bytesMax: 1_048_576 });
  try {
    await migrate(driver, 0, REMOTE_MIGRATIONS);
    for (const [name, sql] of Object.entries(SQL)) {
      const steps = (await driver.all({ sql: `EXPLAIN QUERY PLAN ${sql}` })).map((row) => String(row["detail"]));
      const scans = steps.filter((step) =>
        /^SCAN (?!json_each|\(subquery-|.* USING (COVERING )?INDEX turns_(open|parked)$)/.test(step)
      );
      assert.deepEqual(scans, [], name);
      assert.deepEqual(steps.filter((step) => step.includes("TEMP B-TREE FOR ORDER BY")), [], name);
    }
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
});
