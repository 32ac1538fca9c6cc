import type { EventLog } from "#/core/store.ts";
import { AppError } from "#/core/error.ts";
import type { Secret } from "#/lib/secret.ts";
import { SqlEventLog } from "#/memory/event_log.ts";
import { LibsqlDriver } from "#/memory/libsql_driver.ts";
import { migrate, readRemoteVersion, REMOTE_MIGRATIONS, requireKnownVersion } from "#/memory/migrations.ts";
import { toRemoteAddress } from "#/memory/remote_address.ts";

/** Where a remote log is, and what time it is. */
export interface RemoteLogOptions {
  /** `memory.remote_url`. */
  readonly url: string;
  readonly token: Secret;
  readonly fetch: typeof fetch;
  /** Integer ms UTC. */
  now(): number;
  /** First wait before another try. */
  readonly retryMs?: number;
  /** One request and its answer. */
  readonly timeoutMs?: number;
  /** Steps of the schema. */
  readonly migrations?: readonly (readonly string[])[];
}

/**
 * Opens the event log in a libSQL database, making or migrating its tables; needs permission to connect to that host, nothing else. A step of
 * the schema happens whole or not at all; copies are the service's to make. Throws AppError `config_invalid` for an address, `store_newer`,
 * `store_corrupt` (also for somebody else's database), `store_failed`; then nothing there has been changed.
 */
export async function openRemoteEventLog(options: RemoteLogOptions): Promise<EventLog> {
  const address = toRemoteAddress(options.url);
  if (address === undefined) {
    throw new AppError("config_invalid", "memory.remote_url is no address of a libSQL database");
  }
  const { migrations = REMOTE_MIGRATIONS, now } = options;
  const driver = new LibsqlDriver({ ...options, address });
  try {
    const version = await readRemoteVersion(driver, address.name);
    requireKnownVersion(version, address.name, migrations);
    await migrate(driver, version, migrations);
    return new SqlEventLog({ driver, now, name: address.name, receipt: () => crypto.randomUUID(), closed() {} });
  } catch (error) {
    await driver.close();
    throw error;
  }
}
