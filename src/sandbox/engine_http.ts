import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { parseJson } from "#/lib/parse_json.ts";
import { untilAborted } from "#/lib/until_aborted.ts";

/** One request to an engine. `path` is below its API version and holds no query. */
export interface EngineRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON, or the bytes of a tar file. */
  readonly body?: Readonly<Record<string, unknown>> | Uint8Array<ArrayBuffer>;
  /** 0 waits for as long as the signal allows. Absent: `engineCallMs`. */
  readonly timeoutMs?: number;
}

/** Both ends of a connection that was upgraded. `read` is null at its end. */
export type RawConnection = Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite">;

/** What an engine says when it refuses; Docker and Podman agree on it. */
const Refusal = z.looseObject({ message: z.string() });

/** HTTP over the unix socket of an engine. Whoever can open that socket is root: it stays in this process. */
export class EngineHttp implements Disposable {
  readonly #client: Deno.HttpClient;

  /** Nothing is connected yet. */
  constructor(readonly socketPath: string) {
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
  }

  /** Ends every connection. */
  [Symbol.dispose](): void {
    this.#client.close();
  }

  /**
   * The answer's body, parsed; a refusal is AppError `tier_unavailable` with the engine's words and `status`. Also thrown for an engine that is
   * gone, hangs, or answers with what was not asked for. `cancelled` when the signal fires.
   */
  async json<T>(request: EngineRequest, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
    return await this.#within(request, signal, async (response) => {
      const text = await readBounded(response.body ?? new Blob([]).stream(), LIMITS.engineAnswerBytesMax);
      const parsed = schema.safeParse(text === "" ? null : JSON.parse(text));
      if (!parsed.success) throw new SyntaxError(z.prettifyError(parsed.error));
      return parsed.data;
    });
  }

  /** Hands the body of the answer to `read`, within the request's time. Throws like `json`, and what `read` throws as AppError. */
  async stream<T>(
    request: EngineRequest,
    read: (body: ReadableStream<Uint8Array>) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    return await this.#within(request, signal, (response) => read(response.body ?? new Blob([]).stream()));
  }

  async #within<T>(
    { method, path, query, body, timeoutMs = LIMITS.engineCallMs }: EngineRequest,
    signal: AbortSignal,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const deadline = timeoutMs === 0 ? new AbortController().signal : AbortSignal.timeout(timeoutMs);
    try {
      const isTar = body instanceof Uint8Array;
      const response = await fetch(`http://engine${path}${query ? `?${new URLSearchParams({ ...query })}` : ""}`, {
        method,
        client: this.#client,
        redirect: "error",
        signal: AbortSignal.any([signal, deadline]),
        headers: body === undefined ? {} : { "content-type": isTar ? "application/x-tar" : "application/json" },
        body: body === undefined ? null : isTar ? body : JSON.stringify(body),
      });
      if (!response.ok && response.status !== 304) throw await toRefused(response);
      return await read(response);
    } catch (error) {
      if (signal.aborted) throw new AppError("cancelled", "cancelled while the container engine worked");
      if (error instanceof AppError) throw error;
      throw this.#toLost(deadline.aborted ? `did not answer within ${timeoutMs} ms` : toTrouble(error), error);
    }
  }

  /** Takes a connection over after its 101. Throws like `json`. The caller closes it. */
  async upgrade(path: string, signal: AbortSignal): Promise<{ conn: RawConnection; first: Uint8Array }> {
    const deadline = AbortSignal.timeout(LIMITS.engineCallMs);
    const stop = AbortSignal.any([signal, deadline]);
    const connecting = Deno.connect({ transport: "unix", path: this.socketPath });
    let conn: Deno.UnixConn | undefined;
    try {
      conn = await untilAborted(connecting, stop);
      const head = conn && await untilAborted(openUpgrade(conn, path), stop);
      if (conn && head) return { conn, first: head };
      connecting.then((late) => late.close(), () => {});
    } catch (error) {
      conn?.close();
      throw error instanceof AppError ? error : this.#toLost(toTrouble(error), error);
    }
    if (signal.aborted) throw new AppError("cancelled", "cancelled while the container engine worked");
    throw this.#toLost(`did not answer within ${LIMITS.engineCallMs} ms`);
  }

  #toLost(trouble: string, cause?: unknown): AppError {
    return new AppError("tier_unavailable", `the container engine at ${this.socketPath} ${trouble}`, { cause });
  }
}

/** Asks for the upgrade and returns what came after the head of the answer. */
async function openUpgrade(conn: Deno.UnixConn, path: string): Promise<Uint8Array> {
  const lines = [`POST ${path} HTTP/1.1`, "Host: engine", "Connection: Upgrade", "Upgrade: tcp", "Content-Length: 0"];
  await writeAll(conn, new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  const buffer = new Uint8Array(LIMITS.engineHeadBytesMax);
  for (let length = 0; length < buffer.length;) {
    const count = await conn.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
    // Latin-1: one character is one byte.
    const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) continue;
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
    if (status === 101) return buffer.slice(end + 4, length);
    throw await toRefused(new Response(text.slice(end + 4), { status: status >= 400 ? status : 500 }));
  }
  throw new SyntaxError("no head");
}

/** Writes all of it: a write may take less. */
export async function writeAll(conn: RawConnection, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

async function toRefused(response: Response): Promise<AppError> {
  const text = await readBounded(response.body ?? new Blob([]).stream(), LIMITS.engineHeadBytesMax).catch(() => "");
  const said = Refusal.safeParse(parseJson(text));
  const words = said.success ? said.data.message : `HTTP ${response.status}`;
  return new AppError("tier_unavailable", `the container engine refused: ${words}`, {
    params: { status: response.status },
  });
}

function toTrouble(error: unknown): string {
  // fetch hides the system's error one level down.
  const text = `${error}${error instanceof Error ? ` ${error.cause}` : ""}`;
  if (/PermissionDenied|EACCES|ermission denied/.test(text)) return "may not be opened by this user";
  if (error instanceof SyntaxError || error instanceof RangeError) return "answered with what nobody asked for";
  if (/ENOENT|No such file|NotFound/.test(text)) return "is not there";
  return "is gone";
}
