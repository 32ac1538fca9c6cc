import { join } from "node:path";
import type { GivenAnswer } from "#/core/capability.ts";
import type { EventLog } from "#/core/store.ts";
import { type Gateway, type GatewayDeps, type Listener, openGateway } from "#/gateway/app.ts";
import { newToken } from "#/lib/token.ts";
import type { ServerPayloads } from "#/gateway/server_frame.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { ScriptedSource } from "./scripted_source.ts";

/** A frame as a client reads it. */
// deno-lint-ignore no-explicit-any
export type Frame = { type: keyof ServerPayloads; payload: any };

/** A gateway over a real log and real sockets. */
export interface House extends AsyncDisposable {
  readonly port: number;
  readonly token: string;
  readonly log: EventLog;
  readonly listener: Listener;
  /** Driven by hand, unless the test brought its own source. */
  readonly source: ScriptedSource;
  readonly counts: number[];
  /** Resolves when the gateway has counted its clients anew. */
  counted(): Promise<void>;
  /** Resolves when it counts this many. */
  has(clients: number): Promise<void>;
  readonly reports: { error: unknown; id: string }[];
  /** What clients answered to approvals. */
  readonly answers: readonly GivenAnswer[];
  /** Sessions that were said to be made from others. */
  readonly derived: readonly (readonly [session: string, from: string | undefined])[];
  /** Sessions that were said to be deleted. */
  readonly forgotten: readonly string[];
  readonly resume: Gateway["resume"];
  readonly recheck: () => void;
  /** Takes more routes until the first request. */
  readonly app: Gateway["app"];
  readonly drain: Gateway["drain"];
  client(options?: { hello?: Record<string, unknown>; capabilities?: readonly string[] }): Promise<Client>;
}

/** The sessions below a gateway. */
export type BelowGateway = TurnSource & { readonly exclusive?: GatewayDeps["exclusive"] };

/** Starts a gateway for user `ann` in a folder of its own; `toSource` makes its sessions over the very log. */
export async function openHouse(
  deps: Partial<GatewayDeps> = {},
  toSource?: (log: EventLog) => Promise<BelowGateway>,
): Promise<House> {
  const folder = await Deno.makeTempDir();
  const log = await openEventLog({ path: join(folder, "log.db"), now: deps.now ?? Date.now });
  const token = newToken();
  const owners = { other: "0".repeat(64), test: await sha256Hex(token) };
  const tokens = Object.entries(owners).map(([id, sha256]) => ({ id, sha256, scope: "owner" as const }));
  const source = new ScriptedSource();
  const counts: number[] = [];
  let recount = Promise.withResolvers<void>();
  const reports: House["reports"] = [];
  const answers: GivenAnswer[] = [];
  const derived: House["derived"][number][] = [];
  const forgotten: string[] = [];
  const below: BelowGateway = toSource === undefined ? source : await toSource(log);
  const gateway = openGateway({
    source: below,
    log,
    user: "ann",
    tokens: () => tokens,
    info: { version: "9.9.9", provider: "demo", model: "demo", reason: "no key is set", workspace: "/w" },
    startupStatus: {
      sandbox_tier: "process",
      sidecar_available: false,
      shell_available: false,
      browser_available: false,
    },
    sessionsMax: 50,
    sessionIdleMs: 3_600_000,
    now: Date.now,
    exclusive: (session, work) => below.exclusive?.(session, work) ?? work(),
    derived: (session, from) => Promise.resolve(void derived.push([session, from])),
    forget: (session) => Promise.resolve(void forgotten.push(session)),
    answer: (given) => Promise.resolve(void answers.push(given)),
    onClients: (count) => {
      counts.push(count);
      recount.resolve();
      recount = Promise.withResolvers();
    },
    report: (error, id) => reports.push({ error, id }),
    ...deps,
  });
  const listener = gateway.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener;
  return {
    port,
    token,
    log,
    listener,
    source,
    counts,
    reports,
    answers,
    derived,
    forgotten,
    resume: gateway.resume,
    recheck: () => gateway.recheck(),
    app: gateway.app,
    drain: gateway.drain,
    counted: () => recount.promise,
    async has(clients) {
      while (counts.at(-1) !== clients) await recount.promise;
    },
    async client({ hello = {}, capabilities } = {}) {
      const client = await Client.open(`ws://127.0.0.1:${port}/ws`, { headers: { authorization: `Bearer ${token}` } });
      client.send("hello", {
        request_id: "hello",
        protocol_version: 2,
        user_id: "ann",
        ...(capabilities === undefined ? {} : { capabilities }),
        ...hello,
      });
      return client;
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await log.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A client of the gateway over a real WebSocket. */
export class Client implements AsyncDisposable {
  readonly socket: WebSocket;
  /** Resolves when the connection is over. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #frames: Frame[] = [];
  #news = Promise.withResolvers<void>();
  #over = false;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = (event) => {
      this.#frames.push(JSON.parse(event.data));
      this.#ring();
    };
    this.closed = new Promise((resolve) => {
      socket.onclose = (event) => {
        this.#over = true;
        this.#ring();
        resolve({ code: event.code, reason: event.reason });
      };
    });
  }

  /** Rejects when the upgrade is refused. */
  static async open(
    url: string,
    options: { headers?: Record<string, string>; protocols?: string[] } = {},
  ): Promise<Client> {
    const client = new Client(new WebSocket(url, options as unknown as string[]));
    await new Promise<void>((resolve, reject) => {
      client.socket.onopen = () => resolve();
      client.socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
    });
    client.socket.onerror = () => {};
    return client;
  }

  send(type: string, payload: Record<string, unknown>): void {
    this.socket.send(JSON.stringify({ type, payload }));
  }

  turn(turn: string, prompt = "hi", more: Record<string, unknown> = {}): void {
    this.send("send_turn", { request_id: `r-${turn}`, session_id: "runtime-ann", turn_id: turn, prompt, ...more });
  }

  /** The next frame; rejects when the connection ends before. */
  async any(): Promise<Frame> {
    while (this.#frames.length === 0) {
      if (this.#over) throw new Error(`closed: ${JSON.stringify(await this.closed)}`);
      await this.#news.promise;
    }
    return this.#frames.shift()!;
  }

  /** The next frame of this type; the ones before it are passed over. */
  async next(type: Frame["type"]): Promise<Frame> {
    for (let frame = await this.any();; frame = await this.any()) if (frame.type === type) return frame;
  }

  /** All frames up to and with this type. */
  async until(type: Frame["type"]): Promise<Frame[]> {
    const frames = [await this.any()];
    while (frames.at(-1)!.type !== type) frames.push(await this.any());
    return frames;
  }

  /** Everything that has come before an answer to a question asked now. */
  async drain(): Promise<Frame[]> {
    this.send("health_check", { request_id: "drain" });
    return (await this.until("health_status")).slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000);
    await this.closed;
  }

  #ring(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** A bare TCP connection that asks for an upgrade and then does what no honest client does. */
export async function rawUpgrade(port: number, headers: Record<string, string>, path = "/ws"): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = Object.entries({
    Host: `127.0.0.1:${port}`,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`));
  return connection;
}

/** Status line of the answer on a bare connection. */
export async function statusOf(connection: Deno.TcpConn): Promise<number> {
  const bytes = new Uint8Array(4096);
  const size = await connection.read(bytes);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(new TextDecoder().decode(bytes.subarray(0, size ?? 0)))?.[1]);
}

/** A masked text frame (RFC 6455 §5.2) with a zero mask; for payloads below 64 KiB. */
export function maskedText(text: string): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(text);
  const head = body.length < 126 ? [0x81, 0x80 | body.length] : [0x81, 0xfe, body.length >> 8, body.length & 255];
  const frame = new Uint8Array(head.length + 4 + body.length);
  frame.set(head);
  frame.set(body, head.length + 4);
  return frame;
}
