/** Options that every command which needs a configuration takes. */
export interface CommonOptions {
  readonly config?: string;
  readonly user?: string;
  readonly tier?: string;
}

/** Options of a command that can also answer with one JSON document. */
export interface JsonOptions extends CommonOptions {
  readonly json?: boolean;
}

/** Options of `run`, `chat`, `tui` and `ask`. */
export interface TurnOptions extends JsonOptions {
  readonly session?: string;
  readonly model?: string;
  /** Folder for the pictures and sounds that the model makes. */
  readonly saveMedia?: string;
  /** The second of the two words that let the gateway listen on the network without TLS. */
  readonly plainTextToTheNetwork?: boolean;
  /** Variables handed to this start. */
  readonly env?: readonly string[];
  readonly envFile?: string;
  /** A gateway elsewhere, and the file with its token. */
  readonly gateway?: string;
  readonly tokenFile?: string;
}

/** Options of `start`. */
export interface StartOptions extends TurnOptions {
  readonly detach?: boolean;
  /** The reference's word; it means the tier `process`. */
  readonly insecure?: boolean;
  /** Between our own processes: the options come on stdin, where `ps` does not show them. */
  readonly optionsOnStdin?: boolean;
}

/** Options of `stop`. */
export interface StopOptions extends CommonOptions {
  /** Seconds, decimal digits. */
  readonly timeout?: string;
  readonly now?: boolean;
}

/** Options of `restart`. */
export type RestartOptions = StartOptions & StopOptions;

/** Options of `logs`. */
export interface LogsOptions extends CommonOptions {
  readonly role: "runtime" | "sidecar" | "all";
  readonly stream: "stdout" | "stderr" | "both";
  /** Decimal digits; true for the flag alone. */
  readonly tail?: string | true;
  readonly since?: string;
  readonly format: "text" | "json";
  readonly follow?: boolean;
}

/** Options of `service`. */
export interface ServiceOptions extends CommonOptions {
  readonly for?: "systemd" | "launchd";
  readonly system?: boolean;
  readonly envFile?: string;
}

/** Makes the action of a command: loads its file, calls it with what stood on the command line, and keeps the exit code. */
export type Run<Files> = <Path extends keyof Files, Args extends unknown[]>(
  path: Path,
  action: (file: Files[Path], ...args: Args) => Promise<number>,
) => (...args: Args) => Promise<void>;
