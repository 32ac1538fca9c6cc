import type { Capability } from "#/core/capability.ts";

/** A place that something behind walls wants to reach. */
export type ConnectTarget = Omit<Extract<Capability, { kind: "connect" }>, "kind">;

/** The way out of one walled process: what it may reach is asked anew for each connection. */
export interface Tunnel {
  /** Host folder with `proxy.sock`, an HTTP proxy (CONNECT, and absolute-form requests), for `WalledSpec.netDir`. Bind it read-only. */
  readonly dir: string;
  /**
   * Makes the socket appear, and starts the egress process where none runs: call it before a command that may connect somewhere. Until the
   * first call the folder is empty. Throws AppError `egress_failed`.
   */
  arm(): Promise<void>;
  /**
   * Ends every connection whose target `isOpen` refuses by now, and resolves when they are gone: call it when a grant ends. What a command
   * left running keeps nothing that was granted to the command.
   */
  cut(): Promise<void>;
  /** Ends its connections and removes the folder. */
  close(): Promise<void>;
}

/** Opens ways out. They lead through an egress process, never through the runner's own sockets. */
export interface Tunnels {
  /**
   * `isOpen` is asked for every connection, before anything is resolved; what is refused is answered with 403 and the reason. Addresses inside
   * are refused after it, whatever it says. Throws AppError `queue_full`, `egress_failed`.
   */
  open(id: string, isOpen: (target: ConnectTarget) => boolean): Promise<Tunnel>;
  /** Ends every tunnel and the processes. */
  close(): Promise<void>;
}
