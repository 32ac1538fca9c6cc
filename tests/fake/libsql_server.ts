/**
 * A small libSQL server: Hrana 2 over HTTP (docs/HTTP_V2_SPEC.md and HRANA_2_SPEC.md of tursodatabase/libsql) over node:sqlite, on a real
 * socket, with what sqld refuses (libsql-server/src/query_analysis.rs, vendored/sqlite3-parser). It can be told to misbehave.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";

type Json = Record<string, unknown>;

/** What goes wrong with the next request of a kind. `cut_before` and `cut_after` are the work, `late` answers when `release` is called. */
export type Fault =
  | { readonly kind: "cut_before" | "cut_after" | "silent" }
  | {
    readonly kind: "status";
    readonly status: number;
    readonly headers?: Record<string, string>;
    readonly body?: string;
  }
  | { readonly kind: "answer"; readonly body: (answer: Json) => string | AsyncIterable<string> };

/** One of them. */
export interface LibsqlServer extends AsyncDisposable {
  readonly url: string;
  /** Bodies of the requests that came, the first first. */
  readonly requests: readonly Json[];
  /** Whose host and which authorization each had. */
  readonly heads: readonly { readonly host: string; readonly authorization: string }[];
  /** The next requests (of `write` or `read` batches, or any) go wrong like this, one each. */
  fail(...faults: readonly Fault[]): void;
  failWrites(...faults: readonly Fault[]): void;
}

const PRAGMAS = new Set(["user_version", "foreign_keys", "defer_foreign_keys", "integrity_check", "quick_check"]);

/** Serves the database in `path`. Answers over `answerBytesMax` are RESPONSE_TOO_LARGE, as sqld's are (its default is 10 MB). */
export async function openLibsqlServer(
  path: string,
  options: { readonly token?: string; readonly answerBytesMax?: number } = {},
): Promise<LibsqlServer> {
  const streams = new Map<string, DatabaseSync>();
  const [faults, writeFaults, requests, heads]: [Fault[], Fault[], Json[], { host: string; authorization: string }[]] =
    [[], [], [], []];
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    heads.push({ host: request.headers.host ?? "", authorization: request.headers.authorization ?? "" });
    if (options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
      return send(response, 401, JSON.stringify({ error: "Unauthorized: the token is not valid" }));
    }
    if (request.method === "GET" && request.url === "/v2") return send(response, 200, "");
    if (request.method !== "POST" || request.url !== "/v2/pipeline") return send(response, 404, "not found");
    const body: Json = JSON.parse(await new Blob(chunks as BlobPart[]).text());
    requests.push(body);
    const isWrite = JSON.stringify(body).includes("BEGIN IMMEDIATE");
    const fault = (isWrite ? writeFaults.shift() : undefined) ?? faults.shift();
    if (fault?.kind === "cut_before") return request.socket.destroy();
    if (fault?.kind === "status") return send(response, fault.status, fault.body ?? "<html>no</html>", fault.headers);
    if (fault?.kind === "silent") return;
    const answer = runPipeline(path, streams, body, options.answerBytesMax ?? 1e9);
    if (fault?.kind === "cut_after") return request.socket.destroy();
    if (fault?.kind !== "answer") return send(response, 200, JSON.stringify(answer));
    const said = fault.body(answer);
    if (typeof said === "string") return send(response, 200, said);
    response.writeHead(200, { "content-type": "application/json" });
    for await (const piece of said) {
      if (response.destroyed) return;
      if (!response.write(piece)) {
        await new Promise<void>((resolve) => {
          response.once("drain", resolve);
          response.once("close", resolve);
        });
      }
    }
    response.end();
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    heads,
    fail: (...more) => void faults.push(...more),
    failWrites: (...more) => void writeFaults.push(...more),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      for (const db of streams.values()) db.close();
    },
  };
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
}

/** Runs the requests of one stream; a baton continues it in the next call. */
function runPipeline(path: string, streams: Map<string, DatabaseSync>, body: Json, answerBytesMax: number): Json {
  const held = typeof body["baton"] === "string" ? streams.get(body["baton"]) : undefined;
  if (typeof body["baton"] === "string" && held === undefined) throw new Error("an unknown baton");
  streams.delete(String(body["baton"]));
  const db = held ?? new DatabaseSync(path, { timeout: 5_000 });
  if (held === undefined) db.exec("PRAGMA journal_mode=WAL");
  const stored = new Map<unknown, string>();
  let isClosed = false;
  const results = (body["requests"] as Json[]).map((request) => {
    try {
      return { type: "ok", response: runRequest(request) };
    } catch (error) {
      return { type: "error", error: toError(error) };
    }
  });
  function runRequest(request: Json): Json {
    switch (request["type"]) {
      case "close":
        isClosed = true;
        return { type: "close" };
      case "store_sql":
        stored.set(request["sql_id"], String(request["sql"]));
        return { type: "store_sql" };
      case "close_sql":
        stored.delete(request["sql_id"]);
        return { type: "close_sql" };
      case "execute":
        return { type: "execute", result: execute(db, stored, request["stmt"] as Json) };
      case "batch":
        return { type: "batch", result: runBatch(db, stored, request["batch"] as Json, answerBytesMax) };
      default:
        throw new Error(`no request ${request["type"]}`);
    }
  }
  if (isClosed) {
    db.close();
    return { baton: null, base_url: null, results };
  }
  const baton = crypto.randomUUID();
  streams.set(baton, db);
  return { baton, base_url: null, results };
}

function runBatch(db: DatabaseSync, stored: Map<unknown, string>, batch: Json, answerBytesMax: number): Json {
  const [step_results, step_errors]: [(Json | null)[], (Json | null)[]] = [[], []];
  let bytes = 0;
  const holds = (condition: Json | undefined): boolean => {
    if (condition === undefined || condition === null) return true;
    switch (condition["type"]) {
      case "ok":
        return Boolean(step_results[condition["step"] as number]);
      case "error":
        return Boolean(step_errors[condition["step"] as number]);
      case "not":
        return !holds(condition["cond"] as Json);
      case "and":
        return (condition["conds"] as Json[]).every(holds);
      case "or":
        return (condition["conds"] as Json[]).some(holds);
      default:
        throw new Error(`no condition ${condition["type"]}`);
    }
  };
  for (const step of batch["steps"] as Json[]) {
    let [result, error]: [Json | null, Json | null] = [null, null];
    if (holds(step["condition"] as Json | undefined)) {
      try {
        result = execute(db, stored, step["stmt"] as Json);
        bytes += JSON.stringify(result).length;
        if (bytes > answerBytesMax) {
          throw Object.assign(new Error("Response is too large"), { hrana: "RESPONSE_TOO_LARGE" });
        }
      } catch (cause) {
        [result, error] = [null, toError(cause)];
      }
    }
    step_results.push(result);
    step_errors.push(error);
  }
  return { step_results, step_errors };
}

function execute(db: DatabaseSync, stored: Map<unknown, string>, stmt: Json): Json {
  const sql = typeof stmt["sql"] === "string" ? stmt["sql"] : stored.get(stmt["sql_id"]);
  if (sql === undefined) throw new Error("no such statement");
  refuseWhatSqldRefuses(sql);
  const statement = db.prepare(sql);
  statement.setReadBigInts(true);
  const values = (stmt["args"] as Json[] ?? []).map(fromWire);
  const cols = statement.columns().map(({ name, type }) => ({ name, decltype: type }));
  const rows = statement.all(...values).map((row) => Object.values(row).map(toWire));
  // SQLite takes the word for a name; on a libSQL server such a transaction refuses what writes.
  if (/^BEGIN TRANSACTION READONLY/.test(sql)) db.exec("PRAGMA query_only=ON");
  if (/^(COMMIT|ROLLBACK)/.test(sql)) db.exec("PRAGMA query_only=OFF");
  return { cols, rows, affected_row_count: 0, last_insert_rowid: null };
}

function refuseWhatSqldRefuses(sql: string): void {
  const pragma = /^\s*PRAGMA\s+(\w+)(\s*[=(])?/i.exec(sql);
  const isAllowed = pragma === null || PRAGMAS.has(pragma[1]!.toLowerCase()) || pragma[2] === undefined;
  const isParsed = !/json_group_array\([^()]*(\([^()]*\)[^()]*)*ORDER BY/i.test(sql);
  if (isAllowed && isParsed && !/^\s*(ATTACH|VACUUM|CREATE TEMP)/i.test(sql)) return;
  throw Object.assign(new Error(`unsupported statement: ${sql}`), { hrana: "SQL_PARSE_ERROR" });
}

function fromWire(value: Json): null | bigint | number | string | Uint8Array {
  switch (value["type"]) {
    case "null":
      return null;
    case "integer":
      return BigInt(String(value["value"]));
    case "float":
      return Number(value["value"]);
    case "blob":
      return Uint8Array.fromBase64(String(value["base64"]));
    default:
      return String(value["value"]);
  }
}

function toWire(value: unknown): Json {
  if (value === null) return { type: "null" };
  if (typeof value === "bigint") return { type: "integer", value: String(value) };
  if (typeof value === "number") return { type: "float", value };
  if (value instanceof Uint8Array) return { type: "blob", base64: value.toBase64() };
  return { type: "text", value };
}

const CODES: Readonly<Record<number, string>> = {
  5: "SQLITE_BUSY",
  8: "SQLITE_READONLY",
  11: "SQLITE_CORRUPT",
  13: "SQLITE_FULL",
  18: "SQLITE_TOOBIG",
  19: "SQLITE_CONSTRAINT",
  26: "SQLITE_NOTADB",
};

function toError(error: unknown): Json {
  const { message, hrana, errcode } = error as Error & { hrana?: string; errcode?: number };
  return { message, code: hrana ?? CODES[(errcode ?? 0) & 0xff] ?? "SQL_INPUT_ERROR" };
}
