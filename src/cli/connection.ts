import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionEvent } from "#/core/event.ts";

/** What a gateway frame is to this client; fields it does not need are left alone. */
export interface ServerFrame {
  readonly type: string;
  readonly payload: {
    readonly request_id?: string;
    readonly session?: { readonly session_id: string };
    readonly turn?: { readonly turn_id: string; readonly state: string };
    readonly message?: string;
    readonly code?: string;
    readonly event?: SessionEvent;
    readonly attachment?: { readonly data?: unknown; readonly file_name?: unknown };
    readonly provider?: string;
    readonly model?: string;
    readonly reason?: string;
    readonly workspace?: string;
    readonly display_name?: string;
    readonly sessions?: readonly unknown[];
    readonly active_turn?: { readonly turn_id: string };
    /** What the running model call has said so far. */
    readonly text?: string;
  };
}

/** Why a gateway that is about to go refuses a message: it is for the next one, under the same turn id. */
export const NOT_TAKEN: ReadonlySet<string> = new Set(["gateway_restarting", "turn_suspended", "cancelled"]);

/** Address and token in an endpoint file. Throws AppError `gateway_unreachable` when it is gone: the gateway just stopped. */
export function readEndpointFile(path: string): Endpoint {
  try {
    const url = new URL(Deno.readTextFileSync(path).trim());
    return { origin: `${url.protocol}//${url.host}`, token: url.searchParams.get("token") ?? "" };
  } catch (cause) {
    throw new AppError("gateway_unreachable", "the endpoint file is gone", { cause });
  }
}

/** A greeted connection to the gateway. */
export interface Connection {
  readonly sessionId: string;
  /** Model, its reason and the workspace, as the gateway says. */
  readonly info: ServerFrame["payload"];
  send(type: string, payload: Readonly<Record<string, unknown>>): void;
  /** The next frame, in order; undefined when the connection has closed. One reader. */
  next(): Promise<ServerFrame | undefined>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /** Why this side ended it: the gateway sent what is no frame. Whoever does that is not talked to again. */
  readonly broken: AppError | undefined;
  close(): void;
}

/** Where a gateway listens: `ws://127.0.0.1:PORT`, or `wss://HOST:PORT` for one elsewhere; and what opens it. */
export interface Endpoint {
  readonly origin: string;
  readonly token: string;
}

const PROTOCOL_VERSION = 2;

/**
 * Connects, says hello and waits for the answer. The token goes in a header, so that it is in no URL that a log could keep.
 * Throws AppError `gateway_unreachable` when nobody answers, `gateway_refused` when the gateway says no.
 */
export async function openConnection(
  endpoint: Endpoint,
  hello: { readonly user: string; readonly session?: string; readonly saveMedia?: string },
): Promise<Connection> {
  // Deno's WebSocket takes headers; the standard type does not know them yet.
  const options = { headers: { authorization: `Bearer ${endpoint.token}` } } as unknown as string[];
  const socket = new WebSocket(`${endpoint.origin}/ws`, options);
  const queue = new FrameQueue(socket);
  await queue.opened;
  socket.send(JSON.stringify({
    type: "hello",
    payload: {
      request_id: crypto.randomUUID(),
      protocol_version: PROTOCOL_VERSION,
      user_id: hello.user,
      ...(hello.session === undefined ? {} : { session_id: hello.session }),
      create_new_session: false,
      capabilities: ["turn_events", "named_sessions", ...(hello.saveMedia === undefined ? [] : ["media"])],
    },
  }));
  let info: ServerFrame["payload"] | undefined;
  let sessionId: string | undefined;
  while (info === undefined || sessionId === undefined) {
    const frame = await queue.next();
    if (frame === undefined) {
      throw queue.broken ?? new AppError("gateway_unreachable", "the gateway closed the connection before it greeted");
    }
    if (frame.type === "error") throw new AppError("gateway_refused", frame.payload.message ?? "the gateway refused");
    if (frame.type === "hello_ack") sessionId = frame.payload.session?.session_id;
    if (frame.type === "gateway_info") info = frame.payload;
  }
  return {
    sessionId,
    info,
    send: (type, payload) => socket.send(JSON.stringify({ type, payload })),
    next: () => queue.next(),
    closed: queue.closed,
    get broken() {
      return queue.broken;
    },
    close: () => socket.close(1000),
  };
}

/** Frames that arrived and were not read yet. */
class FrameQueue {
  readonly opened: Promise<void>;
  readonly #end = Promise.withResolvers<void>();
  #frames: ServerFrame[] = [];
  #waiting: ((frame: ServerFrame | undefined) => void) | undefined;
  #isClosed = false;
  /** Why this side ended it: the gateway sent what is no frame. */
  broken: AppError | undefined;

  constructor(socket: WebSocket) {
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("close", (event) => {
        reject(new AppError("gateway_unreachable", event.reason || "the gateway does not answer"));
        this.#isClosed = true;
        this.#waiting?.(undefined);
        this.#end.resolve();
      }, { once: true });
      socket.addEventListener(
        "error",
        () => reject(new AppError("gateway_unreachable", "the gateway does not answer")),
        { once: true },
      );
    });
    socket.addEventListener("message", (event) => {
      const frame = toServerFrame(event.data);
      if (frame !== undefined) return this.#push(frame);
      this.broken = new AppError("protocol", "the gateway sent what is no frame");
      socket.close(1000);
    });
  }

  get closed(): Promise<void> {
    return this.#end.promise;
  }

  #push(frame: ServerFrame): void {
    if (this.#waiting === undefined) {
      this.#frames.push(frame);
      // Between two turns of ours others may have theirs, and nobody here reads them.
      if (this.#frames.length > LIMITS.clientFramesMax) this.#frames.shift();
      return;
    }
    const resolve = this.#waiting;
    this.#waiting = undefined;
    resolve(frame);
  }

  next(): Promise<ServerFrame | undefined> {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting = resolve);
  }
}

/** Never throws: its message would be printed as it is, with a piece of the frame in it. */
function toServerFrame(text: unknown): ServerFrame | undefined {
  const frame = attempt(() => JSON.parse(String(text)));
  return typeof frame?.type === "string" && typeof frame.payload === "object" && frame.payload !== null
    ? frame
    : undefined;
}
