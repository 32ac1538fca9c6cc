import { AppError } from "#/core/error.ts";
import { corruptStore, storeFailed } from "#/memory/store_error.ts";

/** Codes of a libSQL server (its own, and the names of SQLite's) for trouble that is not a bug of ours. What it says beside them is not repeated: it quotes SQL and values. */
const REASONS: ReadonlyMap<string, readonly [reason: string, text: string]> = new Map([
  ["SQLITE_BUSY", ["busy", "another writer holds it: try again"]],
  ["SQLITE_LOCKED", ["busy", "another writer holds it: try again"]],
  ["TRANSACTION_BUSY", ["busy", "another writer holds it: try again"]],
  ["TRANSACTION_TIMEOUT", ["busy", "it gave up the transaction: try again"]],
  ["SQLITE_READONLY", ["readonly", "it takes no writes: look at the token's rights"]],
  ["SQLITE_AUTH", ["readonly", "it does not allow this: look at the token's rights"]],
  ["BLOCKED", ["readonly", "the service has blocked it: look at its quota and billing"]],
  ["SQLITE_FULL", ["full", "no room is left there: look at its quota"]],
  ["SQLITE_TOOBIG", ["full", "a value is larger than it takes"]],
  ["SQLITE_NOMEM", ["full", "it ran out of memory"]],
  ["SQLITE_CONSTRAINT", ["constraint", "a row contradicts the others"]],
  ["SQLITE_IOERR", ["io", "its disk reports an error"]],
  ["SQLITE_CANTOPEN", ["io", "it cannot open its database"]],
  ["RESPONSE_TOO_LARGE", ["too_large", "an answer is larger than it sends: raise the server's limit on answers"]],
  ["PROXY_ERROR", ["unreachable", "it cannot reach its primary"]],
]);

/** Reasons after which nobody knows whether a write has taken effect. */
const UNSURE = new Set(["unreachable", "timeout", "protocol"]);

/**
 * What a value that the client of a remote store threw means for the store `name`. AppErrors come back unchanged. What cannot be understood is
 * `protocol`: the answer came from a third party.
 */
export function toRemoteError(error: unknown, name: string): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB") return corruptStore(name, code, error);
  // An integer that no number holds: nothing of ours wrote it.
  if (error instanceof RangeError) return corruptStore(name, "a number is out of range", error);
  const known = REASONS.get(code) ?? [...REASONS].find(([prefix]) => code.startsWith(`${prefix}_`))?.[1];
  if (known !== undefined) return storeFailed(name, known[0], known[1], error);
  const refused = code.startsWith("SQL");
  const text = refused
    ? `it refuses a statement (${code.slice(0, 40)})`
    : "it does not answer like a libSQL server: look at remote_url";
  return storeFailed(name, refused ? "refused" : "protocol", text, error);
}

/** True when a write may have taken effect although it failed. */
export function isUnsure(error: AppError): boolean {
  return UNSURE.has(String(error.params["reason"]));
}

/** True when another try may help. */
export function isPassing(error: AppError): boolean {
  return isUnsure(error) || error.params["reason"] === "busy";
}
