import type { ConnectTarget } from "#/sandbox/tunnel.ts";

/** One command for a session's shell. */
export interface ShellCall {
  /** The conversation whose shell it is. */
  readonly session: string;
  /** Without NUL. */
  readonly command: string;
  readonly timeoutMs: number;
  /** What it may connect to while it runs. */
  readonly connect: readonly ConnectTarget[];
  /** Told of output as it comes, stdout and stderr in one. Synchronous. */
  readonly onOutput?: (bytes: Uint8Array) => void;
}

/** What a command did. */
export interface ShellResult {
  /** Absent when it was ended from outside; a note says why. */
  readonly exitCode?: number;
  /** Its output, stdout and stderr as they came, head and tail of what is too long; text, whatever it wrote. */
  readonly text: string;
  /** Size of all that it wrote. */
  readonly outputBytes: number;
  /** Virtual path of the shell's folder afterwards. */
  readonly cwd: string;
  /** What the model should know beside it, a sentence each: a timeout, a lost shell, a prompt that nobody could answer, what still runs. */
  readonly notes: readonly string[];
}

/** The shells of one user, one a session, opened on the first command. */
export interface Shells {
  /**
   * Commands of one session run one after another. Throws AppError `tier_unavailable`, `shell_ended`, `queue_full`, `cancelled`. A command
   * that fails is a result.
   */
  exec(call: ShellCall, signal: AbortSignal): Promise<ShellResult>;
  /** Ends a session's shell and what it started; nothing happens when it has none. */
  kill(session: string): Promise<void>;
  /** Ends all of them. */
  close(): Promise<void>;
}
