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

/**
 * A database that speaks SQLite's SQL, here or far away. One call is one round trip, and calls take effect in the order in which they
 * were made. Throws AppError `store_corrupt` or `store_failed` (`params.reason`: `full`, `readonly`, `busy`, `constraint`, `io`,
 * `closed`); after `store_failed` the driver is usable as before.
 */
export interface SqlDriver {
  /** The rows that one statement gives. */
  all(statement: SqlStatement): Promise<readonly SqlRow[]>;
  /** All statements or none of them, in order; the rows of each. */
  transaction(
    statements: readonly SqlStatement[],
    options: { readonly durability: Durability },
  ): Promise<readonly (readonly SqlRow[])[]>;
  /** Twice is the same as once. */
  close(): Promise<void>;
}
