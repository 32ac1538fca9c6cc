import { AppError } from "#/core/error.ts";

const CORRUPT = new Set([11, 26]);

/** Primary SQLite result codes (https://www.sqlite.org/rescode.html) of trouble that is not a bug of ours. */
const REASONS: ReadonlyMap<number, readonly [reason: string, text: string]> = new Map([
  [3, ["io", "the system refuses access to it: look at its owner and mode"]],
  [5, ["busy", "another program holds it: close that program"]],
  [6, ["busy", "another program holds it: close that program"]],
  [8, ["readonly", "it cannot be written: look at its mode and at the file system it lies on"]],
  [10, ["io", "the disk reports an error: look at the free space and at the disk's health"]],
  [13, ["full", "no room is left on the disk or below the log's size limit: free some space"]],
  [14, ["io", "it cannot be opened: look at its owner and mode"]],
  [18, ["full", "a value is larger than the store takes"]],
  [19, ["constraint", "a row contradicts the others"]],
  [22, ["io", "the file system lacks a feature it needs"]],
]);

/**
 * What a thrown value of SQLite or of the file system means for the store in `file` (a name, never a path).
 * AppErrors and programmer errors (wrong SQL, wrong binding) come back unchanged.
 */
export function toStoreError(error: unknown, file: string): unknown {
  if (error instanceof AppError || !(error instanceof Error)) return error;
  const code = "code" in error ? error.code : undefined;
  if (code === "ERR_OUT_OF_RANGE") return corruptStore(file, "a number is out of range", error);
  if (code === "ERR_INVALID_STATE") return storeFailed(file, "closed", "it is closed", error);
  if (code === "ERR_SQLITE_ERROR" && "errcode" in error && typeof error.errcode === "number") {
    const primary = error.errcode & 0xff;
    if (CORRUPT.has(primary)) return corruptStore(file, error.message, error);
    const known = REASONS.get(primary);
    return known === undefined ? error : storeFailed(file, known[0], known[1], error);
  }
  if (error instanceof Deno.errors.NotCapable) {
    return storeFailed(file, "io", "the process lacks read and write permission for its folder", error);
  }
  const isSystem = typeof code === "string" && /^E[A-Z0-9]+$/.test(code);
  if (!isSystem) return error;
  const full = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
  const [reason, text] = REASONS.get(full ? 13 : code === "EROFS" ? 8 : 14)!;
  return storeFailed(file, reason, text, error);
}

/** A store that must not be used: says which file, what is wrong and what to do. Nothing is ever deleted. */
export function corruptStore(file: string, detail: string, cause?: unknown): AppError {
  const message = `${file} is damaged (${detail}); it was left as it is. ` +
    (isRemoteName(file)
      ? "Look at memory.remote_url; restore the database by its service, or name another one."
      : `Stop the program, move ${file}, ${file}-wal and ${file}-shm to a safe place, then put a backup there (oxydra restore) or start with an empty log.`);
  return new AppError("store_corrupt", message, { cause, params: { file } });
}

/** A store that said no to one operation. `reason` is for programs, `text` for the person. */
export function storeFailed(file: string, reason: string, text: string, cause?: unknown): AppError {
  return new AppError("store_failed", `${file}: ${text}`, { cause, params: { file, reason } });
}

/** True for what `toRemoteAddress` calls a store: nobody can move its files. */
export function isRemoteName(name: string): boolean {
  return name.startsWith("remote store ");
}
