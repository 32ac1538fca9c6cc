import { Secret } from "#/lib/secret.ts";
import { openRemoteEventLog } from "#/memory/remote.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { testSessionStore } from "../contract/session_store_contract.ts";
import { openLibsqlServer } from "../fake/libsql_server.ts";

// The class itself is src/memory/session_store.ts; its file format src/memory/session_file.ts, read by src/memory/session_import.ts.
testSessionStore("SqlSessionStore", (folder, now) => openEventLog({ path: `${folder}/log.db`, now }));

testSessionStore("SqlSessionStore on libSQL", async (folder, now) => {
  const server = await openLibsqlServer(`${folder}/remote.db`);
  const token = new Secret("t");
  const log = await openRemoteEventLog({ url: server.url, token, fetch, now, retryMs: 1, timeoutMs: 60_000 });
  const close = log.close.bind(log);
  return Object.assign(log, {
    async close() {
      await close();
      await server[Symbol.asyncDispose]();
    },
  });
});
