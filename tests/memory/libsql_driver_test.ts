import assert from "node:assert/strict";
import type { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import { LibsqlDriver } from "#/memory/libsql_driver.ts";
import { toRemoteAddress } from "#/memory/remote_address.ts";
import { hasCode, testSqlDriver } from "../contract/sql_driver_contract.ts";
import { messageOf, SAMPLES } from "../contract/event_samples.ts";
import { type Fault, type LibsqlServer, openLibsqlServer } from "../fake/libsql_server.ts";
import { query, TOKEN, withRemote } from "./remote_kit.ts";

const FULL = { durability: "full" } as const;
const CUT_BEFORE = { kind: "cut_before" } as const;
const CUT_AFTER = { kind: "cut_after" } as const;

testSqlDriver("LibsqlDriver", (body) => withDriver((driver) => body(driver)));

async function withDriver(
  body: (driver: LibsqlDriver, server: LibsqlServer) => Promise<void>,
  token: string = TOKEN,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = await openLibsqlServer(`${folder}/a.db`, { token: TOKEN });
  const address = toRemoteAddress(server.url)!;
  const driver = new LibsqlDriver({ address, token: new Secret(token), fetch, retryMs: 1 });
  try {
    await body(driver, server);
  } finally {
    await driver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const texts = (path: string) =>
  query(path, "SELECT payload ->> 'text' AS text FROM events ORDER BY seq").map((row) => row["text"]);

Deno.test("LibsqlDriver sends one request for what waits together, and the token to nobody else", async () => {
  await withRemote(async ({ log, server, path }) => {
    const before = server.requests.length;
    await Promise.all(Array.from({ length: 50 }, (_, at) => log.append("s", `t${at}`, [messageOf(`${at}`)], FULL)));
    assert.ok(server.requests.length - before <= 2, `${server.requests.length - before} requests for 50 appends`);
    assert.deepEqual(texts(path), Array.from({ length: 50 }, (_, at) => `${at}`));
    assert.ok(server.heads.every(({ host, authorization }) => {
      return `http://${host}` === server.url && authorization === `Bearer ${TOKEN}`;
    }));
  });
});

Deno.test("an append whose answer is lost is in the log once, with its numbers, whenever the connection was cut", async () => {
  const cases: readonly (readonly Fault[])[] = [
    [CUT_BEFORE],
    [CUT_AFTER],
    [CUT_BEFORE, CUT_AFTER],
    [CUT_AFTER, CUT_AFTER],
    [CUT_AFTER, { kind: "status", status: 503 }, CUT_AFTER],
    [{ kind: "status", status: 500 }],
    [{ kind: "status", status: 429 }],
    [{ kind: "answer", body: () => "<html>a proxy says hello</html>" }],
    [{ kind: "answer", body: (answer) => JSON.stringify({ ...answer, results: [] }) }],
    [{ kind: "answer", body: (answer) => JSON.stringify(answer).slice(0, -9) }],
  ];
  await withRemote(async ({ log, server, path }) => {
    const expected: string[] = [];
    for (const [at, faults] of cases.entries()) {
      server.failWrites(...faults);
      const appends = ["x", "y", "z"].map((name) => {
        expected.push(`${at}${name}`, "more");
        return log.append("s", `t${at}${name}`, [messageOf(`${at}${name}`), messageOf("more")], FULL);
      });
      const stored = (await Promise.all(appends)).flat();
      assert.deepEqual(stored.map(({ seq }) => seq), [5, 4, 3, 2, 1, 0].map((back) => expected.length - back), `${at}`);
      assert.deepEqual(texts(path), expected, `case ${at}`);
    }
    assert.deepEqual((await log.openTurns()).length, cases.length * 3);
  });
});

Deno.test("an append that lands late, after it was tried again, is in the log once", async () => {
  await withRemote(async ({ log, server, path, options }) => {
    // The first try is held back on its way and reaches the server when the second one has landed.
    let held: Request | undefined;
    const late = { ...options, fetch: holdFirstWrite((request) => held = request) };
    const { openRemoteEventLog } = await import("#/memory/remote.ts");
    const second = await openRemoteEventLog(late);
    const [stored] = await second.append("s", "t", [messageOf("once")], FULL);
    assert.equal(stored!.seq, 1);
    const answer = await (await fetch(held!)).json();
    assert.match(JSON.stringify(answer), /UNIQUE constraint failed: oxydra_receipts\.id/);
    assert.deepEqual(texts(path), ["once"]);
    assert.equal((await log.append("s", "t", [SAMPLES.turn_done], FULL))[0]!.seq, 2);
    await second.close();
    assert.ok(server.requests.length > 0);
  });
});

/** A fetch that loses the first write: it is given to `keep` instead of being sent. */
function holdFirstWrite(keep: (request: Request) => void): typeof fetch {
  let isHeld = false;
  return async (input, init) => {
    const request = input as Request;
    if (!isHeld && (await request.clone().text()).includes("oxydra_receipts (id")) {
      isHeld = true;
      keep(request.clone());
      throw new TypeError("connection reset");
    }
    return await fetch(request, init);
  };
}

Deno.test("a store that stays away is told as such after remoteAttemptsMax tries, and works when it is back", async () => {
  await withRemote(async ({ log, server, path }) => {
    const away: readonly Fault[] = Array.from({ length: 40 }, () => ({ kind: "status", status: 503 }));
    server.fail(...away);
    const before = server.requests.length;
    const end = await log.append("s", "t", [messageOf("lost?")], FULL).catch((error: AppError) => error) as AppError;
    assert.ok(hasCode("store_failed", "unreachable")(end));
    assert.match(end.message, /HTTP 503.*whether the last write was recorded is not known/);
    assert.equal(server.requests.length - before, LIMITS.remoteAttemptsMax);
    await assert.rejects(log.read("s", { fromSeq: 1, limit: 1 }), hasCode("store_failed", "unreachable"));
    assert.equal(server.requests.length - before, 2 * LIMITS.remoteAttemptsMax);
    server.fail(); // What is left of `away` is used up by the tries of the next one.
    for (let left = away.length - 2 * LIMITS.remoteAttemptsMax; left > 0; left--) {
      await fetch(`${server.url}/v2/pipeline`, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}` },
        body: "{}",
      }).then((response) => response.body?.cancel());
    }
    const [stored] = await log.append("s", "t", [messageOf("back")], FULL);
    assert.equal(stored!.seq, 1);
    assert.deepEqual(texts(path), ["back"]);
  });
});

Deno.test("LibsqlDriver says what to do about a refused token, and never the token", async () => {
  await withDriver(async (driver, server) => {
    const end = await driver.all({ sql: "SELECT 1" }).catch((error: AppError) => error) as AppError;
    assert.ok(hasCode("store_failed", "auth")(end));
    assert.match(end.message, /refuses memory\.auth_token/);
    assert.equal(server.heads.length, 1, "a refused token is not sent again");
    await assert.rejects(driver.transaction([{ sql: "SELECT 1" }], FULL), hasCode("store_failed", "auth"));
    assert.ok(!Deno.inspect(end).includes("wr0ng") && !Deno.inspect(driver).includes("wr0ng"));
  }, "wr0ng-token");
});

Deno.test("LibsqlDriver.close() waits for what is on its way, and ends none of it where nobody listens", async () => {
  await withDriver(async (driver, server) => {
    server.fail({ kind: "status", status: 503 });
    const settled = Promise.allSettled([
      driver.all({ sql: "SELECT 1 a" }),
      driver.transaction([{ sql: "CREATE TABLE t (a)" }], FULL),
      driver.all({ sql: "SELECT 2 a" }),
    ]);
    await driver.close();
    const ends = await settled;
    // The one that met the fault is not tried again by a driver that closes.
    assert.equal(ends.filter(({ status }) => status === "rejected").length, 1);
    for (const end of ends) {
      if (end.status === "rejected") assert.ok(hasCode("store_failed", "unreachable")(end.reason));
    }
  });
});

Deno.test("LibsqlDriver keeps no more receipts than receiptsKeptMax", async () => {
  await withRemote(async ({ log, path }) => {
    const rows = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${
      LIMITS.receiptsKeptMax + 50
    })`;
    query(path, `${rows} INSERT INTO oxydra_receipts (id, last_seq) SELECT 'x' || i, 1 FROM n RETURNING 1`);
    await log.append("s", "t", [messageOf("a")], FULL);
    await log.append("s", "t", [messageOf("b")], FULL);
    const [row] = query(path, "SELECT count(*) AS n, max(id) AS newest FROM oxydra_receipts");
    assert.equal(row!["n"], LIMITS.receiptsKeptMax);
  });
});

Deno.test("a window that is larger than the server's answers comes in pieces, and an event that is larger is told", async () => {
  await withRemote(async ({ log }) => {
    const events = Array.from({ length: 90 }, (_, at) => messageOf(`${at}`.padEnd(2_000, "x")));
    const stored = await log.append("s", "t", events, FULL);
    assert.deepEqual(await log.read("s", { fromSeq: 1, limit: 1_000 }), stored);
    assert.deepEqual(await log.read("s", { fromSeq: 3, limit: 60 }), stored.slice(2, 62));
    await log.append("s", "big", [messageOf("y".repeat(60_000))], FULL);
    await assert.rejects(log.read("s", { fromSeq: 91, limit: 1 }), hasCode("store_failed", "too_large"));
    assert.equal((await log.read("s", { fromSeq: 1, limit: 90 })).length, 90);
  }, { answerBytesMax: 50_000 });
});
