/** A remote store is a third party: whatever it answers, the guest keeps its memory, its token and its wits. */
import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { openRemoteEventLog } from "#/memory/remote.ts";
import { toRemoteAddress } from "#/memory/remote_address.ts";
import { toRemoteFetch } from "#/memory/remote_fetch.ts";
import { hasCode } from "../contract/sql_driver_contract.ts";
import { messageOf } from "../contract/event_samples.ts";
import { type Fault, openLibsqlServer } from "../fake/libsql_server.ts";
import { TOKEN, withRemote } from "../memory/remote_kit.ts";

const FULL = { durability: "full" } as const;
const WINDOW = { fromSeq: 1, limit: 10 } as const;

/** An answer of one batch whose first step is BEGIN and whose second has these columns and rows. */
const withRows = (cols: readonly unknown[], rows: readonly unknown[]): Fault => ({
  kind: "answer",
  body: (answer) => {
    const results = answer["results"] as { response?: { result?: { step_results: unknown[] } } }[];
    for (const { response } of results) {
      if (response?.result?.step_results) response.result.step_results[1] = { cols, rows, affected_row_count: 0 };
    }
    return JSON.stringify(answer);
  },
});

Deno.test("a store that sends the guest elsewhere, by a redirect or for the next request, gets no token there", async () => {
  const seen: string[] = [];
  await using inside = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    seen.push(`${request.headers.get("authorization")}`);
    return new Response("{}");
  });
  const elsewhere = `http://127.0.0.1:${inside.addr.port}/`;
  await withRemote(async ({ server, options }) => {
    for (const status of [301, 302, 307, 308]) {
      const fault: Fault = { kind: "status", status, headers: { location: `${elsewhere}v2/pipeline` } };
      server.fail(fault, fault, fault, fault);
      await assert.rejects(openRemoteEventLog(options), hasCode("store_failed", "refused"), `${status}`);
      // What was not needed of the four would meet the next case.
      await (await openUntilServed(options)).close();
    }
    const base: Fault = {
      kind: "answer",
      body: (answer) => JSON.stringify({ ...answer, base_url: elsewhere, baton: "b" }),
    };
    server.fail(base);
    await openRemoteEventLog(options).then((log) => log.close(), () => {});
  });
  const send = toRemoteFetch({ address: toRemoteAddress("https://db.example/tenant")!, fetch });
  for (const url of ["https://db.example.evil/", "https://db.example/other", `${elsewhere}v2`]) {
    await assert.rejects(send(new Request(url)), hasCode("store_failed", "refused"), url);
  }
  assert.deepEqual(seen, []);
});

async function openUntilServed(options: Parameters<typeof openRemoteEventLog>[0]) {
  for (let left = 10; left > 0; left--) {
    const log = await openRemoteEventLog(options).catch(() => undefined);
    if (log !== undefined) return log;
  }
  throw new Error("the server does not come back");
}

Deno.test("a store that never stops answering is cut off at a bound", async () => {
  const folder = await Deno.makeTempDir();
  await using server = await openLibsqlServer(`${folder}/a.db`);
  let sent = 0;
  const endless: Fault = {
    kind: "answer",
    body: async function* () {
      const piece = "x".repeat(1_000_000);
      for (yield '{"results":["'; sent < 10_000; sent++) {
        yield piece;
        await Promise.resolve();
      }
    } as () => AsyncIterable<string>,
  };
  server.fail(endless);
  const address = toRemoteAddress(server.url)!;
  const send = toRemoteFetch({ address, fetch, answerBytesMax: 5_000_000 });
  const request = new Request(`${address.url}v2/pipeline`, { method: "POST", body: '{"requests":[]}' });
  await assert.rejects(send(request), hasCode("store_failed", "too_large"));
  assert.ok(sent < 1_000, `${sent} MB`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("rows of the wrong number, shape or type end one call with an error of ours, and the process goes on", async () => {
  const cell = (type: string, rest: object) => ({ type, ...rest });
  const col = (name: string) => ({ name, decltype: null });
  const answers: readonly Fault[] = [
    withRows([], []),
    withRows([col("seq")], [[cell("text", { value: "one" })]]),
    withRows([col("seq")], [[cell("integer", { value: "one" })]]),
    withRows([col("seq")], [[cell("integer", { value: "9223372036854775807" })]]),
    withRows([col("seq")], [[cell("float", { value: "1" })]]),
    withRows([col("seq")], [[cell("blob", { base64: "***" })]]),
    withRows([col("seq")], [[cell("dreamt", {})]]),
    withRows([col("seq")], [[]]),
    withRows([col("__proto__"), col("seq")], [[cell("text", { value: "x" }), cell("integer", { value: "1" })]]),
    withRows([], Array.from({ length: 1_000 }, () => [])),
    { kind: "answer", body: () => "null" },
    { kind: "answer", body: () => "[]" },
    { kind: "answer", body: () => "{".repeat(50_000) },
    { kind: "answer", body: () => "[".repeat(200_000) },
    { kind: "answer", body: () => '{"baton":7,"results":"x"}' },
    { kind: "answer", body: (answer) => JSON.stringify({ ...answer, results: Array(5_000).fill({ type: "error" }) }) },
  ];
  await withRemote(async ({ log, server }) => {
    await log.append("s", "t", [messageOf("whole")], FULL);
    for (const [at, answer] of answers.entries()) {
      // As often as anything is tried.
      server.fail(answer, answer, answer, answer);
      const end = await log.read("s", WINDOW).catch((error: unknown) => error);
      const isOurs = end instanceof AppError && end.code.startsWith("store_");
      assert.ok(isOurs || Array.isArray(end) && end.length === 0, `${at}: ${Deno.inspect(end)}`);
      for (let left = 8; left > 0; left--) await log.session("s").catch(() => {});
      assert.equal((await log.read("s", WINDOW)).length, 1, `${at}: the next call`);
    }
    for (const value of ["0", "-5"]) {
      server.failWrites(withRows([col("last_seq")], [[cell("integer", { value })]]));
      await assert.rejects(
        log.append("s", "t", [messageOf("x"), messageOf("y")], FULL),
        hasCode("store_corrupt"),
        value,
      );
    }
  });
});

Deno.test("an error of the store repeats neither the SQL nor the values nor the token that the server echoes", async () => {
  const echo = (code: string): Fault => ({
    kind: "answer",
    body: (answer) => {
      const results = (answer["results"] as unknown[]).map(() => ({
        type: "error",
        error: { message: `near "hush-hush ${TOKEN}": syntax error in INSERT INTO events`, code },
      }));
      return JSON.stringify({ ...answer, results });
    },
  });
  await withRemote(async ({ log, server, options }) => {
    for (const code of ["SQLITE_ERROR", "SQL_PARSE_ERROR", "SQLITE_CORRUPT", "SQLITE_IOERR", "\u001b[31mEVIL", ""]) {
      server.fail(...Array.from({ length: 8 }, () => echo(code)));
      const calls = [() => log.append("s", "t", [messageOf("hush-hush")], FULL), () => log.read("s", WINDOW)];
      for (const call of calls) {
        const end = await call().catch((error: unknown) => error);
        assert.ok(end instanceof AppError, String(end));
        assert.doesNotMatch(end.message + JSON.stringify(end.params), /hush|INSERT|EVIL|s3cret/, code);
      }
      for (let left = 10; left > 0; left--) await log.session("s").catch(() => {});
    }
    assert.doesNotMatch(Deno.inspect(options), new RegExp(TOKEN));
    assert.doesNotMatch(Deno.inspect(new Secret(TOKEN)), new RegExp(TOKEN));
  });
});
