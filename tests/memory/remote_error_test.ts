import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { isPassing, isUnsure, toRemoteError } from "#/memory/remote_error.ts";

const withCode = (code: string) => Object.assign(new Error("INSERT INTO secrets VALUES ('hush')"), { code });

Deno.test("toRemoteError() names what a person can do, and repeats nothing that the server said", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["SQLITE_BUSY", "busy"],
    ["SQLITE_BUSY_SNAPSHOT", "busy"],
    ["TRANSACTION_BUSY", "busy"],
    ["TRANSACTION_TIMEOUT", "busy"],
    ["SQLITE_CONSTRAINT_UNIQUE", "constraint"],
    ["SQLITE_FULL", "full"],
    ["SQLITE_TOOBIG", "full"],
    ["SQLITE_READONLY", "readonly"],
    ["BLOCKED", "readonly"],
    ["SQLITE_IOERR_WRITE", "io"],
    ["RESPONSE_TOO_LARGE", "too_large"],
    ["PROXY_ERROR", "unreachable"],
    ["SQL_PARSE_ERROR", "refused"],
    ["HRANA_PROTO_ERROR", "protocol"],
    ["", "protocol"],
  ];
  for (const [code, reason] of cases) {
    const error = toRemoteError(withCode(code), "remote store x:1");
    assert.deepEqual([error.code, error.params["reason"]], ["store_failed", reason], code);
    assert.match(error.message, /^remote store x:1: /);
    assert.doesNotMatch(error.message, /hush/);
  }
  assert.equal(toRemoteError("a string", "x").params["reason"], "protocol");
});

Deno.test("toRemoteError() knows a damaged database and a number that is out of range, and leaves our own errors alone", () => {
  for (const error of [withCode("SQLITE_CORRUPT"), withCode("SQLITE_NOTADB"), new RangeError("too large")]) {
    const meant = toRemoteError(error, "remote store x:1");
    assert.equal(meant.code, "store_corrupt");
    assert.match(meant.message, /remote_url/);
    assert.doesNotMatch(meant.message, /-wal/);
  }
  const own = new AppError("store_failed", "x");
  assert.equal(toRemoteError(own, "y"), own);
});

Deno.test("isUnsure() and isPassing() say when a write may be there, and when another try may help", () => {
  const at = (reason: string) => {
    const error = new AppError("store_failed", "x", { params: { reason } });
    return [isUnsure(error), isPassing(error)];
  };
  for (const reason of ["unreachable", "timeout", "protocol"]) assert.deepEqual(at(reason), [true, true], reason);
  assert.deepEqual(at("busy"), [false, true]);
  for (const reason of ["auth", "constraint", "full", "refused", "too_large"]) {
    assert.deepEqual(at(reason), [false, false], reason);
  }
});
