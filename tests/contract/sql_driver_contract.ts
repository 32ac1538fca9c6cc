import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SqlDriver } from "#/memory/sql.ts";

const NORMAL = { durability: "normal" } as const;
const FULL = { durability: "full" } as const;

/** Runs `body` with an open driver on an empty database, and ends both. */
export type WithDriver = (body: (driver: SqlDriver) => Promise<void>) => Promise<void>;

/** The promises of memory/sql.ts's SqlDriver; every implementation runs them. */
export function testSqlDriver(name: string, withDriver: WithDriver): void {
  const test = (sentence: string, body: (driver: SqlDriver) => Promise<void>) =>
    Deno.test(`${name}: ${sentence}`, () => withDriver(body));
  testValues(test);
  testTransactions(test);
}

type Test = (sentence: string, body: (driver: SqlDriver) => Promise<void>) => void;

function testValues(test: Test): void {
  test("binds and gives back each kind of value", async (driver) => {
    const values = [null, 7, Number.MIN_SAFE_INTEGER, 1.5, "", "ä\u{1f30a}", new Uint8Array([0, 255])];
    const [row] = await driver.all({ sql: "SELECT ?1 a, ?2 b, ?3 c, ?4 d, ?5 e, ?6 f, ?7 g, typeof(?2) h", values });
    assert.deepEqual(Object.values(row!), [...values, "integer"]);
    assert.deepEqual(await driver.all({ sql: "SELECT 1 WHERE 0" }), []);
  });

  test("an integer that no number holds is store_corrupt", async (driver) => {
    await assert.rejects(driver.all({ sql: "SELECT 9007199254740993 a" }), hasCode("store_corrupt"));
    assert.equal((await driver.all({ sql: "SELECT 1 a" }))[0]!["a"], 1);
  });

  test("a column may have any name", async (driver) => {
    const [row] = await driver.all({ sql: 'SELECT 1 "__proto__", 2 "constructor", 3 "toString"' });
    assert.deepEqual(Object.entries(row!), [["__proto__", 1], ["constructor", 2], ["toString", 3]]);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });
}

function testTransactions(test: Test): void {
  const insert = (a: number | null) => ({ sql: "INSERT INTO t VALUES (?1) RETURNING a", values: [a] });
  const withTable = (sentence: string, body: (driver: SqlDriver) => Promise<void>) =>
    test(sentence, async (driver) => {
      await driver.transaction([{ sql: "CREATE TABLE t (a INTEGER NOT NULL UNIQUE)" }], NORMAL);
      await body(driver);
    });
  const held = async (driver: SqlDriver) =>
    (await driver.all({ sql: "SELECT a FROM t ORDER BY rowid" })).map((row) => row["a"]);

  withTable("transaction() does all or nothing and is usable after an error", async (driver) => {
    assert.deepEqual(await rowsOf(driver.transaction([insert(1), insert(2)], FULL)), [[{ a: 1 }], [{ a: 2 }]]);
    for (const bad of [insert(null), insert(1)]) {
      await assert.rejects(driver.transaction([insert(3), bad], FULL), hasCode("store_failed", "constraint"));
    }
    await assert.rejects(driver.transaction([insert(3), { sql: "nonsense" }], FULL));
    assert.deepEqual(await rowsOf(driver.transaction([insert(4)], FULL)), [[{ a: 4 }]]);
    assert.deepEqual(await held(driver), [1, 2, 4]);
  });

  withTable("takes calls in their order without waiting between them", async (driver) => {
    const calls = Array.from({ length: 50 }, (_, a) => driver.transaction([insert(a)], a % 2 === 0 ? NORMAL : FULL));
    assert.deepEqual(await held(driver), calls.map((_, a) => a), "a read sees every write before it");
    assert.deepEqual(await rowsOf(Promise.all(calls).then((all) => all.flat())), calls.map((_, a) => [{ a }]));
  });

  withTable("one that fails takes no other down, whatever its place among those that wait with it", async (driver) => {
    const bad = new Set([0, 7, 19]);
    const calls = Array.from({ length: 20 }, (_, at) => {
      return driver.transaction(
        bad.has(at) ? [insert(1_000 + at), insert(null)] : [insert(at), insert(100 + at)],
        FULL,
      );
    });
    const ends = await Promise.allSettled(calls);
    assert.deepEqual(ends.flatMap(({ status }, at) => status === "rejected" ? [at] : []), [...bad]);
    for (const at of bad) assert.ok(hasCode("store_failed", "constraint")((ends[at] as PromiseRejectedResult).reason));
    const good = calls.map((_, at) => at).filter((at) => !bad.has(at));
    assert.deepEqual(await held(driver), good.flatMap((at) => [at, 100 + at]));
  });

  withTable("refuses the write that is one too many to wait, and does the others", async (driver) => {
    const calls = Array.from(
      { length: LIMITS.commitsWaitingMax + 1 },
      (_, a) => driver.transaction([insert(a)], NORMAL),
    );
    const ends = await Promise.allSettled(calls);
    const refused = ends.flatMap(({ status }, at) => status === "rejected" ? [at] : []);
    assert.deepEqual(refused, [LIMITS.commitsWaitingMax]);
    assert.ok(hasCode("store_failed", "busy")((ends.at(-1) as PromiseRejectedResult).reason));
    assert.equal((await held(driver)).length, LIMITS.commitsWaitingMax);
    await driver.transaction([insert(-1)], FULL);
  });

  withTable("close() ends what waits; calls after it are refused, twice is once", async (driver) => {
    const waiting = driver.transaction([insert(1)], FULL);
    await driver.close();
    assert.deepEqual(await rowsOf(waiting), [[{ a: 1 }]]);
    await driver.close();
    await assert.rejects(driver.all({ sql: "SELECT 1" }), hasCode("store_failed", "closed"));
    await assert.rejects(driver.transaction([{ sql: "SELECT 1" }], FULL), hasCode("store_failed", "closed"));
  });
}

async function rowsOf(results: Promise<readonly (readonly object[])[]>): Promise<unknown> {
  return (await results).map((rows) => rows.map((row) => ({ ...row })));
}

/** True for an AppError of this code and, where one is given, this reason. */
export function hasCode(code: string, reason?: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof AppError && error.code === code && (reason === undefined || error.params["reason"] === reason);
}
