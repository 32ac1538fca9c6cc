/**
 * A model vendor on a real socket: a POST to an endpoint of any of our protocols is answered by a script, `GET …/models` with a list.
 *
 * ```ts
 * const vendor = await startFakeOpenAi((body, n) => n === 0 ? reply([toolCall("file_read", { path: "/shared/a" })]) : reply([text("Done.")]));
 * // base_url = vendor.url; afterwards vendor.requests holds every request
 * await vendor.close();
 * ```
 * As a program: `deno run -A tests/fake/openai_server.ts --port 8080 --script haiku` (names in openai_scripts.ts).
 */
import net from "node:net";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers";
import { answer, type Reply, type Step } from "./openai_reply.ts";

/** A message as it came over the wire. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string | null | readonly unknown[];
  readonly tool_calls?: readonly { id: string; type: string; function: { name: string; arguments: string } }[];
  readonly tool_call_id?: string;
}

/** A request body as it came over the wire; `{ messages: [] }` for GET. */
export interface ChatBody {
  readonly model?: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly { type: string; function: { name: string; description?: string; parameters?: unknown } }[];
  readonly stream?: boolean;
  readonly stream_options?: { include_usage?: boolean };
  readonly [field: string]: unknown;
}

/** One request that the vendor got. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ChatBody;
  /** Settles when the client has closed its connection. */
  readonly left: Promise<void>;
}

/** Decides each answer; `n` counts the chat requests from 0. */
export type Script = (body: ChatBody, n: number, request: SeenRequest) => Reply | Promise<Reply>;

/** A running vendor. */
export interface FakeOpenAi {
  /** Base URL, ends with `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Chat requests, in order. */
  readonly requests: readonly SeenRequest[];
  /** All requests, also for `/models` and for what does not exist. */
  readonly seen: readonly SeenRequest[];
  close(): Promise<void>;
}

/** OpenAI, Responses, Anthropic, Gemini. */
const ENDPOINT = /\/(chat\/completions|responses|messages|models\/[^/]+:streamGenerateContent)$/;

/** Starts a vendor on 127.0.0.1. `models` are the ids that `/models` lists. */
export async function startFakeOpenAi(
  script: Script,
  options: { port?: number; models?: readonly string[] } = {},
): Promise<FakeOpenAi> {
  const requests: SeenRequest[] = [];
  const seen: SeenRequest[] = [];
  const sockets = new Set<net.Socket>();
  const route = async (request: SeenRequest): Promise<Reply> => {
    seen.push(request);
    const path = request.path.split("?")[0]!;
    if (request.method === "GET" && path.endsWith("/models")) {
      const data = (options.models ?? ["fake-1"]).map((id) => ({ id, object: "model", owned_by: "fake" }));
      return answer(200, { object: "list", data });
    }
    if (request.method !== "POST" || !ENDPOINT.test(path)) {
      return answer(404, { error: { message: `no route ${request.method} ${path}` } });
    }
    requests.push(request);
    return await script(request.body, requests.length - 1, request);
  };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    void serve(socket, route);
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const port = (server.address() as AddressInfo).port;
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { url: `http://127.0.0.1:${port}/v1`, port, requests, seen, close };
}

/** A vendor that plays this script, or gives this reply to everybody, for as long as `body` runs. */
export async function withVendor<T>(script: Script | Reply, body: (vendor: FakeOpenAi) => Promise<T>): Promise<T> {
  const vendor = await startFakeOpenAi(typeof script === "function" ? script : () => script);
  try {
    return await body(vendor);
  } finally {
    await vendor.close();
  }
}

async function serve(socket: net.Socket, route: (request: SeenRequest) => Promise<Reply>): Promise<void> {
  const input = new Input(socket);
  socket.setNoDelay(true);
  for (;;) {
    const request = await input.request();
    if (!request) return;
    const keep = await send(socket, await route(request), input.left);
    if (!keep) return;
  }
}

/** True when the connection can carry another request. */
async function send(socket: net.Socket, reply: Reply, left: Promise<void>): Promise<boolean> {
  const write = (bytes: Uint8Array) => writeAll(socket, bytes, left);
  if (reply.status !== 0) {
    const head = Object.entries({ ...reply.headers, "transfer-encoding": "chunked" }).map(([k, v]) => `${k}: ${v}`);
    await write(encoder.encode(`HTTP/1.1 ${reply.status} Fake\r\n${head.join("\r\n")}\r\n\r\n`));
  }
  for (const step of reply.steps) {
    if (socket.destroyed) return false;
    if (step.kind === "pause" || step.kind === "wait") {
      await (step.kind === "wait" ? Promise.race([step.until, left]) : pause(step.ms, left));
      continue;
    }
    const bytes = toBytes(step, reply.newline);
    const size = reply.fragmentBytes || bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      await write(toHttpChunk(bytes.subarray(at, at + size)));
      if (reply.fragmentBytes) await nextTurn();
    }
  }
  if (reply.ending === "end") {
    await write(encoder.encode("0\r\n\r\n"));
    return !socket.destroyed;
  }
  if (reply.ending === "hang") await left;
  if (reply.ending === "reset") socket.resetAndDestroy();
  else socket.destroy();
  return false;
}

function toBytes(step: Exclude<Step, { kind: "pause" | "wait" }>, newline: string): Uint8Array {
  if (step.kind === "raw") return step.bytes;
  if (step.kind === "ping") return encoder.encode(`: ping${newline}${newline}`);
  const chunk = typeof step.chunk === "function" ? step.chunk() : step.chunk;
  return encoder.encode(`data: ${JSON.stringify(chunk)}${newline}${newline}`);
}

function toHttpChunk(bytes: Uint8Array): Uint8Array {
  const head = encoder.encode(`${bytes.length.toString(16)}\r\n`);
  const out = new Uint8Array(head.length + bytes.length + 2);
  out.set(head);
  out.set(bytes, head.length);
  out.set([13, 10], head.length + bytes.length);
  return out;
}

function writeAll(socket: net.Socket, bytes: Uint8Array, left: Promise<void>): Promise<void> {
  if (socket.destroyed || bytes.length === 0) return Promise.resolve();
  const written = new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return Promise.race([written, left]);
}

/** No timer outlives the client. */
function pause(ms: number, left: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void left.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Lets the socket write what it has, so that fragments travel apart. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Reads requests from one connection and knows when the client has left. */
class Input {
  #buffer = new Uint8Array(0);
  #closed = false;
  #wake = Promise.withResolvers<void>();
  readonly left: Promise<void>;

  constructor(socket: net.Socket) {
    const gone = Promise.withResolvers<void>();
    this.left = gone.promise;
    socket.on("data", (data: Uint8Array) => {
      const joined = new Uint8Array(this.#buffer.length + data.length);
      joined.set(this.#buffer);
      joined.set(data, this.#buffer.length);
      this.#buffer = joined;
      this.#wake.resolve();
    });
    const end = () => {
      this.#closed = true;
      gone.resolve();
      this.#wake.resolve();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }

  /** The next request, or undefined when the client has left. */
  async request(): Promise<SeenRequest | undefined> {
    let headEnd: number;
    while ((headEnd = findBlankLine(this.#buffer)) < 0) if (!await this.#more()) return undefined;
    const [first, ...lines] = decoder.decode(this.#buffer.subarray(0, headEnd)).split("\r\n");
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const end = headEnd + 4 + Number(headers["content-length"] ?? 0);
    while (this.#buffer.length < end) if (!await this.#more()) return undefined;
    const json = decoder.decode(this.#buffer.subarray(headEnd + 4, end));
    this.#buffer = this.#buffer.slice(end);
    const [method = "", path = ""] = first!.split(" ");
    const body: ChatBody = json === "" ? { messages: [] } : JSON.parse(json);
    return { method, path, headers, body, left: this.left };
  }

  async #more(): Promise<boolean> {
    if (this.#closed) return false;
    await this.#wake.promise;
    this.#wake = Promise.withResolvers<void>();
    return true;
  }
}

function findBlankLine(bytes: Uint8Array): number {
  for (let at = 0; at + 3 < bytes.length; at++) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

if (import.meta.main) {
  const { SCRIPTS } = await import("./openai_scripts.ts");
  const flag = (name: string) => Deno.args[Deno.args.indexOf(`--${name}`) + 1];
  const name = Deno.args.includes("--script") ? flag("script")! : "hello";
  const script = SCRIPTS[name];
  if (!script) {
    console.error(`no script ${name}; there are: ${Object.keys(SCRIPTS).join(", ")}`);
    Deno.exit(2);
  }
  const vendor = await startFakeOpenAi(script, { port: Deno.args.includes("--port") ? Number(flag("port")) : 0 });
  console.log(vendor.url);
}
