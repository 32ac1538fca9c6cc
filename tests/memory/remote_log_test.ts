/** The contract of the event log, on a remote store. */
import { Secret } from "#/lib/secret.ts";
import { openRemoteEventLog } from "#/memory/remote.ts";
import { testEventLog } from "../contract/event_log_contract.ts";
import { openLibsqlServer } from "../fake/libsql_server.ts";
import { guestCommand } from "./guest_command.ts";
import { execute } from "./remote_kit.ts";

testEventLog("SqlEventLog on libSQL", async (folder, now) => {
  const server = await openLibsqlServer(`${folder}/remote.db`);
  const log = await openRemoteEventLog({
    url: server.url,
    token: new Secret("t"),
    fetch,
    now,
    retryMs: 1,
    timeoutMs: 60_000,
  });
  const close = log.close.bind(log);
  return Object.assign(log, {
    async close() {
      await close();
      await server[Symbol.asyncDispose]();
    },
  });
}, {
  isShared: true,
  execute: (folder, sql) => Promise.resolve(execute(`${folder}/remote.db`, sql)),
  async writer(folder, { events, chars, durability }) {
    const server = await openLibsqlServer(`${folder}/remote.db`);
    const args = [server.url, String(events), String(chars), durability];
    const child = guestCommand("append_child.ts", folder, args, [`--allow-net=${new URL(server.url).host}`]).spawn();
    void child.status.then(() => server[Symbol.asyncDispose]());
    return child;
  },
});
