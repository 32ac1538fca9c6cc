import { type Client, createClient, type InStatement, type ResultSet } from "@libsql/client/web";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import type { Secret } from "#/lib/secret.ts";
import { CommitQueue, type PendingCommit, settle } from "#/memory/commit_queue.ts";
import { isPassing, isUnsure, toRemoteError } from "#/memory/remote_error.ts";
import { type RemoteFetchOptions, toRemoteFetch } from "#/memory/remote_fetch.ts";
import type { SqlDriver, SqlRow, SqlStatement, SqlValue, TransactionOptions } from "#/memory/sql.ts";
import { storeFailed } from "#/memory/store_error.ts";

/** A database of a libSQL server (Turso, sqld). */
export interface LibsqlOptions extends RemoteFetchOptions {
  readonly token: Secret;
  /** First wait before another try; it grows fourfold. Default `remoteRetryMs`. */
  readonly retryMs?: number;
}

type Rows = readonly (readonly SqlRow[])[];

/** Reasons that hold for one write of a group and not for the others. */
const ITS_OWN = new Set(["constraint", "full", "io", "too_large", "refused"]);

/**
 * SQLite's SQL on a libSQL server, through `@libsql/client/web` (Hrana 2 over HTTP, no native code): a call is one request, writes go one
 * after the other, and those that wait meanwhile go together. An answer that got lost is asked for, see `TransactionOptions.landed`. Needs
 * permission to connect to that host and nothing else.
 */
export class LibsqlDriver implements SqlDriver {
  readonly #client: Client;
  readonly #options: LibsqlOptions;
  readonly #name: string;
  readonly #queue: CommitQueue;
  readonly #closing = new AbortController();
  #isPumping = false;
  /** Settles with the last write that was asked for. */
  #tail: Promise<unknown> = Promise.resolve();
  readonly #reads = new Set<Promise<unknown>>();

  /** Connects to nothing yet. */
  constructor(options: LibsqlOptions) {
    this.#options = options;
    this.#name = options.address.name;
    this.#queue = new CommitQueue(this.#name);
    this.#client = createClient({
      url: options.address.url,
      authToken: options.token.reveal(),
      intMode: "number",
      fetch: toRemoteFetch(options),
    });
  }

  async all(statement: SqlStatement): Promise<readonly SqlRow[]> {
    this.#requireOpen();
    const reading = this.#read(statement);
    const ended = reading.catch(() => {});
    this.#reads.add(ended);
    void ended.then(() => this.#reads.delete(ended));
    return await reading;
  }

  async #read(statement: SqlStatement): Promise<readonly SqlRow[]> {
    await this.#tail;
    const startedAt = performance.now();
    for (let attempt = 1;; attempt++) {
      try {
        return (await this.#batch([statement], "read"))[0]!;
      } catch (error) {
        const isLate = performance.now() - startedAt >= LIMITS.remoteStoreMs;
        const isClosing = this.#closing.signal.aborted;
        if (!isPassing(error as AppError) || isLate || isClosing || attempt === LIMITS.remoteAttemptsMax) throw error;
        await this.#wait(attempt);
      }
    }
  }

  transaction(statements: readonly SqlStatement[], options: TransactionOptions): Promise<Rows> {
    return Promise.try(() => {
      this.#requireOpen();
      const added = this.#queue.add(statements, options);
      this.#tail = added.catch(() => {});
      void this.#pump();
      return added;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    // The client would reject what is on its way where nobody catches it, and take the process down.
    await Promise.all([this.#tail, ...this.#reads]);
    this.#client.close();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    // What else this tick asks for goes with it.
    await Promise.resolve();
    while (this.#queue.size > 0) await this.#commit(this.#queue.take());
    this.#isPumping = false;
  }

  async #commit(group: readonly PendingCommit[]): Promise<void> {
    try {
      settle(group, await this.#persist(group));
    } catch (error) {
      const isItsOwn = !(error instanceof AppError) || ITS_OWN.has(String(error.params["reason"]));
      if (group.length === 1 || !isItsOwn) group.forEach(({ reject }) => reject(error));
      else for (const one of group) await this.#commit([one]);
    }
  }

  /** Writes a group exactly once: tries again only after the store was asked whether the last try has taken effect. */
  async #persist(group: readonly PendingCommit[]): Promise<Rows> {
    const statements = group.flatMap((one) => one.statements);
    let mayHaveLanded = false;
    for (let attempt = 1;; attempt++) {
      try {
        const landed = mayHaveLanded ? await this.#landed(group) : undefined;
        return landed ?? await this.#batch(statements, "write");
      } catch (thrown) {
        const error = thrown as AppError;
        if (!isPassing(error)) {
          // An earlier try that landed refuses this one: both have the same receipt. The first may be an earlier one as well: a pooled connection
          // that breaks makes Deno's `fetch` send the request again by itself (measured, 2.9.6).
          const landed = await this.#landed(group).catch(() => undefined);
          if (landed !== undefined) return landed;
          throw error;
        }
        mayHaveLanded ||= isUnsure(error);
        if (attempt === LIMITS.remoteAttemptsMax || this.#closing.signal.aborted) {
          throw mayHaveLanded ? toOpen(error) : error;
        }
        await this.#wait(attempt);
      }
    }
  }

  /** The rows of a group that has taken effect; undefined for one that has not. All of it has or nothing. */
  async #landed(group: readonly PendingCommit[]): Promise<Rows | undefined> {
    const asked = group.filter(({ options }) => options.landed !== undefined);
    if (asked.length === 0) return undefined;
    const answers = await this.#batch(asked.map(({ options }) => options.landed!), "read");
    if (answers.some((rows) => rows.length === 0)) return undefined;
    const rows: (readonly SqlRow[])[] = [];
    for (const one of group) {
      const first = answers[asked.indexOf(one)];
      if (first === undefined) rows.push(...await this.#batch(one.statements, "write"));
      else rows.push(first, ...one.statements.slice(1).map(() => []));
    }
    return rows;
  }

  /** One request. Throws AppError. */
  async #batch(statements: readonly SqlStatement[], mode: "read" | "write"): Promise<Rows> {
    try {
      const results = await this.#client.batch(statements.map(toInStatement), mode);
      if (results.length !== statements.length) throw new TypeError("an answer is missing");
      return results.map(toRows);
    } catch (error) {
      throw toRemoteError(error, this.#name);
    }
  }

  #wait(attempt: number): Promise<void> {
    return delay((this.#options.retryMs ?? LIMITS.remoteRetryMs) * 4 ** (attempt - 1), this.#closing.signal);
  }

  #requireOpen(): void {
    if (this.#closing.signal.aborted) throw storeFailed(this.#name, "closed", "it is closed");
  }
}

function toOpen(error: AppError): AppError {
  const message = `${error.message}; whether the last write was recorded is not known`;
  return new AppError(error.code, message, { cause: error, params: { ...error.params, isUnsure: true } });
}

function toInStatement({ sql, values = [] }: SqlStatement): InStatement {
  return { sql, args: values.map(toBound) };
}

/** The client binds every number as REAL; a bigint becomes INTEGER. */
function toBound(value: SqlValue): null | bigint | number | string | Uint8Array {
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
}

function toRows({ columns, rows }: ResultSet): readonly SqlRow[] {
  // A column may have any name: `fromEntries` defines, it never assigns.
  return rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, toValue(row[at])])));
}

function toValue(value: unknown): unknown {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}
