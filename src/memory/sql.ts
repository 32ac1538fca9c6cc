import type { Durability } from "#/core/store.ts";

/** What a column holds. Integers are safe integers; text holds no NUL. */
export type SqlValue = null | number | string | Uint8Array;

/** One row by column name. Untrusted: whoever reads it parses it. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** One statement with its positional values (`?1` is the first). The text is constant: drivers keep it prepared. */
export interface SqlStatement {
  readonly sql: string;
  readonly values?: readonly SqlValue[];
}

/** How a transaction is made. */
export interface TransactionOptions {
  readonly durability: Durability;
  /**
   * What a driver whose answers can get lost asks before it tries again: no row unless this transaction has taken effect, and else the row that
   * its first statement gave. Without one, to do it twice is the same as once.
   */
  readonly landed?: SqlStatement;
}

/**
 * A database that speaks SQLite's SQL, here or far away. One call is one round trip, and calls take effect in the order in which they
 * were made. Throws AppError `store_corrupt` or `store_failed` (`params.reason`: `full`, `readonly`, `busy`, `constraint`, `io`,
 * `closed`); after `store_failed` the driver is usable as before.
 */
export interface SqlDriver {
  /** The rows that one statement gives. */
  all(statement: SqlStatement): Promise<readonly SqlRow[]>;
  /** All statements or none of them, in order; the rows of each. Calls that wait together share a commit; one that fails takes no other down. */
  transaction(
    statements: readonly SqlStatement[],
    options: TransactionOptions,
  ): Promise<readonly (readonly SqlRow[])[]>;
  /** Twice is the same as once. */
  close(): Promise<void>;
}
