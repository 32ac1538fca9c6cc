import assert from "node:assert/strict";
import { DAY_MS } from "#/core/cost.ts";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { readUsage } from "#/memory/usage.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";

/** A log with a call on each of these days, and a writer that goes by no schema. */
async function withCalls(days: readonly number[], body: (driver: SqliteDriver) => Promise<void>): Promise<void> {
  const path = `${await Deno.makeTempDir()}/oxydra.db`;
  let now = 0;
  const log = await openEventLog({ path, now: () => now });
  await log.ensureSession(sessionOf("s"));
  const result: NewEvent = { ...SAMPLES.model_result, payload: { ...SAMPLES.model_result.payload, cost: 1 } };
  for (const day of days) {
    now = day * DAY_MS + 1;
    const events = [messageOf("hi"), SAMPLES.model_request, result, SAMPLES.turn_done];
    await log.append("s", `t${day}`, events, { durability: "normal" });
  }
  await log.close();
  const driver = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
  await body(driver);
  await driver.close();
}

Deno.test("readUsage() gives a row a day, the newest first, at most rowsMax, none before a time", async () => {
  await withCalls([1, 2, 2, 5], async (driver) => {
    const days = async (at: number, max?: number) =>
      (await readUsage(driver, at, max)).map(({ day, calls }) => [day, calls]);
    assert.deepEqual(await days(0), [[5, 1], [2, 2], [1, 1]]);
    assert.deepEqual(await days(2 * DAY_MS), [[5, 1], [2, 2]]);
    assert.deepEqual(await days(2 * DAY_MS + 2), [[5, 1]]);
    assert.deepEqual(await days(0, 2), [[5, 1], [2, 2]]);
  });
});

Deno.test("readUsage() finds calls without reading the log", async () => {
  await withCalls([1], async (driver) => {
    const plan = await driver.all({
      sql: "EXPLAIN QUERY PLAN SELECT 1 FROM events q WHERE q.type = 'model_request' AND q.at >= ?1",
      values: [0],
    });
    assert.match(String(plan[0]!["detail"]), /USING (COVERING )?INDEX events_calls/);
  });
});

Deno.test("readUsage() passes over what is no JSON, and takes what is no number for none", async () => {
  await withCalls([1, 2], async (driver) => {
    await driver.all({ sql: `UPDATE events SET payload = '{"cost":' WHERE turn = 't2' AND type = 'model_result'` });
    const garbage = JSON.stringify({ cost: "much", usage: { promptTokens: [], completionTokens: "x" }, answeredBy: 7 });
    await driver.all({
      sql: `UPDATE events SET payload = ?1 WHERE turn = 't1' AND type = 'model_result'`,
      values: [garbage],
    });
    const rows = await readUsage(driver, 0);
    assert.deepEqual(rows.map(({ day, cost, openCalls, inputTokens }) => [day, cost, openCalls, inputTokens]), [
      [2, 0, 1, 0],
      [1, 0, 0, 0],
    ]);
    await driver.all({ sql: `UPDATE events SET payload = 'x' WHERE type = 'model_request'` });
    assert.deepEqual(await readUsage(driver, 0), []);
  });
});
