import type { Durability } from "#/core/store.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SqlRow, SqlStatement, TransactionOptions } from "#/memory/sql.ts";
import { storeFailed } from "#/memory/store_error.ts";

/** A transaction that somebody waits for. */
export interface PendingCommit {
  readonly statements: readonly SqlStatement[];
  readonly options: TransactionOptions;
  resolve(rows: readonly (readonly SqlRow[])[]): void;
  reject(error: unknown): void;
}

/**
 * Transactions that wait to be committed, in the order in which they were asked for. Those that wait together become one: a commit costs as
 * much for a hundred as for one. There is no timer in it: a lone one waits for nobody.
 */
export class CommitQueue {
  readonly #file: string;
  #waiting: PendingCommit[] = [];

  /** `file` is what messages call the store. */
  constructor(file: string) {
    this.#file = file;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Settled by who takes it. Rejects with AppError `store_failed` (`busy`) when `commitsWaitingMax` wait. */
  add(statements: readonly SqlStatement[], options: TransactionOptions): Promise<readonly (readonly SqlRow[])[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly (readonly SqlRow[])[]>();
    if (this.#waiting.length < LIMITS.commitsWaitingMax) this.#waiting.push({ statements, options, resolve, reject });
    else reject(storeFailed(this.#file, "busy", `${LIMITS.commitsWaitingMax} writes wait for it already`));
    return promise;
  }

  /** Those that come next in one transaction: at most `commitGroupMax`, and no more than `commitGroupBytesMax` beside the first. Empty for none. */
  take(): readonly PendingCommit[] {
    let bytes = 0;
    let count = 0;
    for (const { statements } of this.#waiting) {
      bytes += toWeight(statements);
      if (count === LIMITS.commitGroupMax || count > 0 && bytes > LIMITS.commitGroupBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}

/** What one of a group asks for, all get. */
export function strongest(group: readonly PendingCommit[]): Durability {
  return group.some(({ options }) => options.durability === "full") ? "full" : "normal";
}

/** Gives each of a group the rows of its own statements. */
export function settle(group: readonly PendingCommit[], rows: readonly (readonly SqlRow[])[]): void {
  let at = 0;
  for (const { statements, resolve } of group) resolve(rows.slice(at, at += statements.length));
}

function toWeight(statements: readonly SqlStatement[]): number {
  let bytes = 0;
  for (const { values = [] } of statements) {
    for (const value of values) if (value !== null && typeof value !== "number") bytes += value.length;
  }
  return bytes;
}
