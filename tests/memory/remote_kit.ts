import { DatabaseSync } from "node:sqlite";
import type { EventLog } from "#/core/store.ts";
import { Secret } from "#/lib/secret.ts";
import { openRemoteEventLog, type RemoteLogOptions } from "#/memory/remote.ts";
import { type LibsqlServer, openLibsqlServer } from "../fake/libsql_server.ts";

/** A token that a server of these tests takes. */
export const TOKEN = "s3cret-token";

/** A log on a server, and what to open another one with. */
export interface RemoteBed {
  readonly server: LibsqlServer;
  readonly options: RemoteLogOptions;
  readonly path: string;
  readonly log: EventLog;
}

/** Runs `body` with an open log that has session `s`, on a server of its own. */
export async function withRemote(
  body: (bed: RemoteBed) => Promise<void>,
  changes: Partial<RemoteLogOptions> & { readonly answerBytesMax?: number } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/remote.db`;
  const { answerBytesMax, ...more } = changes;
  const server = await openLibsqlServer(path, { token: TOKEN, ...(answerBytesMax && { answerBytesMax }) });
  const options = { url: server.url, token: new Secret(TOKEN), fetch, now: Date.now, retryMs: 1, ...more };
  const log = await openRemoteEventLog(options);
  try {
    await log.ensureSession({ id: "s", user: "u", agent: "a", channel: "c", displayName: null, parent: null });
    await body({ server, options, path, log });
  } finally {
    await log.close();
    await server[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs SQL on the database behind a server. */
export function execute(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

/** Rows of the database behind a server. */
export function query(path: string, sql: string): readonly Record<string, unknown>[] {
  const db = new DatabaseSync(path);
  const rows = db.prepare(sql).all().map((row) => ({ ...row }));
  db.close();
  return rows;
}
