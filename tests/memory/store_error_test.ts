import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { corruptStore, isRemoteName, storeFailed, toStoreError } from "#/memory/store_error.ts";

Deno.test("toStoreError() names what a person can do about each result of SQLite and the system", () => {
  const sqlite = (errcode: number) => ({ code: "ERR_SQLITE_ERROR", errcode });
  const cases: readonly (readonly [fields: object, code: string, reason?: string])[] = [
    [sqlite(11), "store_corrupt"],
    [sqlite(26), "store_corrupt"],
    [sqlite(11 | (1 << 8)), "store_corrupt"],
    [sqlite(5), "store_failed", "busy"],
    [sqlite(8), "store_failed", "readonly"],
    [sqlite(10 | (12 << 8)), "store_failed", "io"],
    [sqlite(13), "store_failed", "full"],
    [sqlite(14), "store_failed", "io"],
    [sqlite(18), "store_failed", "full"],
    [sqlite(1299), "store_failed", "constraint"],
    [{ code: "ERR_OUT_OF_RANGE" }, "store_corrupt"],
    [{ code: "ERR_INVALID_STATE" }, "store_failed", "closed"],
    [{ code: "ENOSPC" }, "store_failed", "full"],
    [{ code: "EDQUOT" }, "store_failed", "full"],
    [{ code: "EROFS" }, "store_failed", "readonly"],
    [{ code: "EACCES" }, "store_failed", "io"],
  ];
  for (const [fields, code, reason] of cases) {
    const cause = Object.assign(new Error("/secret/path/events.db"), fields);
    const error = toStoreError(cause, "events.db");
    assert.ok(error instanceof AppError, JSON.stringify(fields));
    assert.deepEqual([error.code, error.params["reason"], error.params["file"]], [code, reason, "events.db"]);
    assert.equal(error.cause, cause);
    if (code === "store_failed") assert.doesNotMatch(error.message, /secret/);
  }
});

Deno.test("toStoreError() maps a missing permission", () => {
  const error = toStoreError(new Deno.errors.NotCapable('Requires write access to "/a/b"'), "events.db");
  assert.ok(error instanceof AppError && error.code === "store_failed");
  assert.equal(error.message, "events.db: the process lacks read and write permission for its folder");
});

Deno.test("toStoreError() leaves programmer errors and our own alone", () => {
  const mine = new AppError("session_unknown", "no");
  const wrongSql = Object.assign(new Error("near x"), { code: "ERR_SQLITE_ERROR", errcode: 1 });
  const unknown = Object.assign(new Error("?"), { code: "ERR_SQLITE_ERROR" });
  const binding = Object.assign(new TypeError("?"), { code: "ERR_INVALID_ARG_TYPE" });
  for (const error of [mine, wrongSql, unknown, binding, new RangeError("x"), "text", undefined, null]) {
    assert.equal(toStoreError(error, "events.db"), error);
  }
});

Deno.test("corruptStore(), storeFailed() and isRemoteName() say which file and what to do", () => {
  const cause = new Error("why");
  const corrupt = corruptStore("events.db", "page 3", cause);
  assert.match(
    corrupt.message,
    /^events\.db is damaged \(page 3\).*left as it is.*move events\.db, events\.db-wal and events\.db-shm/,
  );
  assert.equal(corrupt.cause, cause);
  const failed = storeFailed("events.db", "full", "no room");
  assert.deepEqual([failed.code, failed.message, failed.params], [
    "store_failed",
    "events.db: no room",
    { file: "events.db", reason: "full" },
  ]);
  assert.deepEqual([isRemoteName("remote store db.example:443"), isRemoteName("events.db")], [true, false]);
  assert.doesNotMatch(corruptStore("remote store db.example:443", "x").message, /-wal/);
});
