import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { type Connection, type Endpoint, openConnection, type ServerFrame } from "#/cli/connection.ts";

/** Who is greeted, and how it is found out whether a gateway will come back. */
export interface SteadyOptions {
  /** Address and token of now. Throws AppError `gateway_unreachable` when there is none. */
  readonly endpoint: () => Endpoint;
  readonly hello: { readonly user: string; readonly session?: string; readonly saveMedia?: string };
  /** True while a runner is there that may start another gateway. */
  readonly isRunnerThere: () => Promise<boolean>;
  readonly reconnectMs?: number;
}

/**
 * A connection that can be made again: a guest that restarts comes back on the same port. What it told before is `Connection`'s, and
 * `next()` ends with the connection of now.
 */
export class SteadyConnection implements Connection {
  readonly #options: SteadyOptions;
  readonly #origin: string;
  readonly sessionId: string;
  #current: Connection;

  private constructor(options: SteadyOptions, origin: string, first: Connection) {
    this.#options = options;
    this.#origin = origin;
    this.#current = first;
    this.sessionId = first.sessionId;
  }

  /** Connects for the first time. Throws as `openConnection`. */
  static async open(options: SteadyOptions): Promise<SteadyConnection> {
    const endpoint = options.endpoint();
    return new SteadyConnection(options, endpoint.origin, await openConnection(endpoint, options.hello));
  }

  get info(): ServerFrame["payload"] {
    return this.#current.info;
  }

  get closed(): Promise<void> {
    return this.#current.closed;
  }

  get broken(): AppError | undefined {
    return this.#current.broken;
  }

  send(type: string, payload: Readonly<Record<string, unknown>>): void {
    this.#current.send(type, payload);
  }

  next(): Promise<ServerFrame | undefined> {
    return this.#current.next();
  }

  close(): void {
    this.#current.close();
  }

  /**
   * Connects again, in the same session, once a gateway is there. False when none comes: the runner has ended, or nothing listened within
   * `reconnectMs`. Throws AppError `protocol` after what was no frame, `gateway_refused`, and `gateway_unreachable` when it is at another port: this process may reach the first one only.
   */
  async reconnect(): Promise<boolean> {
    const { endpoint, hello, isRunnerThere, reconnectMs = LIMITS.reconnectMs } = this.#options;
    if (this.broken !== undefined) throw this.broken;
    this.#current.close();
    const end = performance.now() + reconnectMs;
    while (performance.now() < end) {
      try {
        const address = endpoint();
        this.#checkOrigin(address.origin);
        this.#current = await openConnection(address, { ...hello, session: this.sessionId });
        return true;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "gateway_unreachable" || error.params.moved) throw error;
      }
      if (!await isRunnerThere()) return false;
      await new Promise((resolve) => setTimeout(resolve, LIMITS.attachPollMs));
    }
    return false;
  }

  #checkOrigin(origin: string): void {
    if (origin === this.#origin) return;
    const message = `the gateway is at another address now (${origin}); start this command again to reach it`;
    throw new AppError("gateway_unreachable", message, { params: { moved: true } });
  }
}
