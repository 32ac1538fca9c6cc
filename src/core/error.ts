/** Every code that an operating error may carry. One closed list: a new code is a decision. */
export type ErrorCode =
  | "internal"
  | "usage"
  | "config_invalid"
  | "config_untrusted"
  | "platform_unsupported"
  | "self_test_failed"
  | "lock_held"
  | "guest_failed"
  | "gateway_unreachable"
  | "gateway_refused"
  | "gateway_restarting"
  | "protocol"
  | "frame_too_large"
  | "provider_auth"
  | "provider_rate_limited"
  | "provider_rejected"
  | "provider_unavailable"
  | "provider_protocol"
  | "provider_interrupted"
  | "provider_timeout"
  | "model_unknown"
  | "tool_unknown"
  | "tool_args_invalid"
  | "tool_args_too_large"
  | "tool_calls_too_many"
  | "tool_denied"
  | "tool_failed"
  | "approval_needed"
  | "approval_unknown"
  | "approval_refused"
  | "tool_timeout"
  | "tool_crashed"
  | "tool_interrupted"
  | "tier_unavailable"
  | "shell_ended"
  | "path_invalid"
  | "path_outside"
  | "file_not_found"
  | "file_exists"
  | "file_not_regular"
  | "file_too_large"
  | "file_changed"
  | "quota_exceeded"
  | "budget_turns"
  | "budget_cost"
  | "budget_time"
  | "budget_exceeded"
  | "cancelled"
  | "queue_full"
  | "session_unknown"
  | "session_taken"
  | "turn_conflict"
  | "turn_interrupted"
  | "turn_suspended"
  | "turn_stuck"
  | "store_newer"
  | "store_corrupt"
  | "store_failed"
  | "component_invalid"
  | "audit_failed"
  | "secret_denied"
  | "egress_denied"
  | "egress_failed"
  | "egress_timeout";

/** Parameters of an error, for logs and machine readers. Never a secret, never a host path meant for the model. */
export type ErrorParams = Readonly<Record<string, string | number | boolean>>;

/**
 * An operating error that someone decides on. `code` is for programs; `message` is for the person and may leave the process.
 * Programmer errors are TypeError or RangeError and nobody catches them.
 */
export class AppError extends Error {
  /** Which of the closed list. */
  readonly code: ErrorCode;
  /** Machine-readable parameters. */
  readonly params: ErrorParams;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; params?: ErrorParams } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.params = options.params ?? {};
  }
}

/**
 * What `work` returns, or undefined when it throws, whatever it throws: for a look at what need not be there, and for an ending of what may have
 * ended by itself. Not for promises.
 */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** What any thrown value says. For the person at this machine: it may name a path. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What leaves the process for any thrown value: our own codes speak, everything else is "internal error" and an id for the log. */
export function toPublicError(error: unknown, id: string): { code: ErrorCode; message: string } {
  if (error instanceof AppError) return { code: error.code, message: error.message };
  return { code: "internal", message: `internal error (${id})` };
}
