import assert from "node:assert/strict";
import type { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { MIGRATIONS, REMOTE_MIGRATIONS } from "#/memory/migrations.ts";
import { openRemoteEventLog } from "#/memory/remote.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";
import { messageOf, SAMPLES } from "../contract/event_samples.ts";
import { exported, toBytes } from "../contract/session_store_contract.ts";
import { openLibsqlServer } from "../fake/libsql_server.ts";
import { execute, query, TOKEN, withRemote } from "./remote_kit.ts";

const FULL = { durability: "full" } as const;

Deno.test("openRemoteEventLog() makes its tables, and finds them again beside those that a service keeps", async () => {
  await withRemote(async ({ log, options, path }) => {
    assert.deepEqual(query(path, "SELECT user_version AS v FROM pragma_user_version"), [{
      v: REMOTE_MIGRATIONS.length,
    }]);
    await log.append("s", "t", [messageOf("x")], FULL);
    const again = await openRemoteEventLog(options);
    assert.equal((await again.read("s", { fromSeq: 1, limit: 9 })).length, 1);
    await again.close();
  });
  const folder = await Deno.makeTempDir();
  await using server = await openLibsqlServer(`${folder}/a.db`);
  execute(`${folder}/a.db`, "CREATE TABLE libsql_wasm_func_table (a); CREATE TABLE _litestream_seq (a)");
  const log = await openRemoteEventLog({ url: server.url, token: new Secret("t"), fetch, now: Date.now });
  await log.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openRemoteEventLog() leads an old schema on, also when the answer gets lost, each step whole or not at all", async () => {
  const folder = await Deno.makeTempDir();
  await using server = await openLibsqlServer(`${folder}/a.db`);
  const options = { url: server.url, token: new Secret("t"), fetch, now: Date.now, retryMs: 1 };
  await (await openRemoteEventLog({ ...options, migrations: REMOTE_MIGRATIONS.slice(0, 1) })).close();
  server.failWrites({ kind: "cut_after" });
  await (await openRemoteEventLog(options)).close();
  const version = () => query(`${folder}/a.db`, "SELECT user_version AS v FROM pragma_user_version")[0]!["v"];
  assert.equal(version(), MIGRATIONS.length);
  const migrations = [...REMOTE_MIGRATIONS, ["CREATE TABLE half (a)", "INSERT INTO absent VALUES (1)"]];
  await assert.rejects(openRemoteEventLog({ ...options, migrations }), hasCode("store_failed", "refused"));
  assert.equal(version(), MIGRATIONS.length);
  assert.deepEqual(query(`${folder}/a.db`, "SELECT name FROM sqlite_schema WHERE name = 'half'"), []);
  await (await openRemoteEventLog(options)).close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openRemoteEventLog() refuses a newer schema, another program's database and an address that is none, and changes nothing", async () => {
  const cases: readonly (readonly [sql: string, code: string, message: RegExp])[] = [
    [
      "PRAGMA user_version=99",
      "store_newer",
      /schema 99, this one knows \d+.*Update the program, or set memory\.remote_url/s,
    ],
    ["DROP TABLE oxydra_receipts", "store_corrupt", /a database of another program.*Look at memory\.remote_url/s],
  ];
  for (const [sql, code, message] of cases) {
    await withRemote(async ({ options, path, server }) => {
      execute(path, sql);
      const before = query(path, "SELECT * FROM sqlite_schema");
      const end = await openRemoteEventLog(options).catch((error: AppError) => error) as AppError;
      assert.ok(hasCode(code)(end), String(end));
      assert.match(end.message, message);
      assert.doesNotMatch(end.message, new RegExp(`\\.bak|-wal|${TOKEN}`));
      assert.deepEqual(query(path, "SELECT * FROM sqlite_schema"), before);
      assert.ok(!JSON.stringify(server.requests.at(-1)).includes("BEGIN IMMEDIATE"));
    });
  }
  const options = { url: "http://db.example", token: new Secret("t"), fetch, now: Date.now };
  await assert.rejects(openRemoteEventLog(options), hasCode("config_invalid"));
});

Deno.test("SqlSessionStore on a remote store: a branch and an import whose answers get lost are there once", () =>
  withRemote(async ({ server, log }) => {
    await log.append("s", "t1", [SAMPLES.user_message, SAMPLES.turn_done], { durability: "normal" });
    const store = await log.sessions();
    server.failWrites({ kind: "cut_after" });
    const branch = await store.branch("s", undefined, { id: "b", displayName: null, channel: "api" });
    assert.deepEqual([branch.id, branch.parent], ["b", "s"]);
    const lines = await exported(store, "s");
    let fails = 0;
    const whole = async function* () {
      for await (const bytes of toBytes(lines)) yield bytes;
      // The session is there by now; its events are not.
      fails = 1;
      server.failWrites({ kind: "cut_after" });
    };
    const made = await store.importLines(whole(), {
      user: "u",
      channel: "api",
      onId: () => Promise.resolve(server.failWrites({ kind: "cut_after" })),
    });
    assert.equal(fails, 1);
    const read = async (id: string) => (await log.read(id, { fromSeq: 1, limit: 9 })).map(({ type }) => type);
    const types = ["user_message", "turn_done"];
    assert.deepEqual([await read("b"), await read(made.id), made.user], [types, types, "u"]);
  }));
