import { z } from "zod";
import { Bootstrap } from "#/app/bootstrap.ts";
import { APPROVAL_ANSWERS } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";

const Id = z.string().max(LIMITS.idCharsMax);

/** Which lines of the logs are wanted: the reference's `RunnerControlLogsRequest`, with its defaults and its nulls. */
export const LogsRequest = z.strictObject({
  role: z.enum(["runtime", "sidecar", "all"]).default("runtime"),
  stream: z.enum(["stdout", "stderr", "both"]).default("both"),
  /** Absent: `logTailDefault` of LIMITS. */
  tail: z.number().int().nonnegative().nullish(),
  /** RFC 3339, or as in 30s, 15m, 1h, 2d before now. */
  since: z.string().max(LIMITS.idCharsMax).nullish(),
  /** Its client writes the lines; what is answered is the same. */
  format: z.enum(["text", "json"]).default("text"),
});
/** One of them. */
export type LogsRequest = z.infer<typeof LogsRequest>;

/** One line of a log: the reference's `RunnerLogEntry`. */
export const LogEntry = z.strictObject({
  /** RFC 3339; absent for a line that nobody gave a time, such as the last words of a process that crashed. */
  timestamp: z.string().exactOptional(),
  source: z.enum(["process_file", "docker_api"]),
  role: z.string(),
  stream: z.string(),
  message: z.string(),
});
/** One of them. */
export type LogEntry = z.infer<typeof LogEntry>;

/** The newest lines that were asked for, the oldest of them first: the reference's `RunnerControlLogsResponse`. */
export const LogsAnswer = z.strictObject({
  entries: z.array(LogEntry),
  /** Older ones were left out. */
  truncated: z.boolean(),
  warnings: z.array(z.string()),
});
/** One of them. */
export type LogsAnswer = z.infer<typeof LogsAnswer>;

/** How `oxydra start` was asked to start; a restart does it the same way. Kept in memory alone: it may name secrets. */
export const StartedWith = z.strictObject({ detached: z.boolean(), options: z.record(z.string(), z.unknown()) });
/** One of them. */
export type StartedWith = z.infer<typeof StartedWith>;

/**
 * What may be asked at the runner's control socket, in the reference's framing (4-byte big-endian length + JSON) and its form
 * `{op, payload}` (crates/types/src/runner.rs). The approvals are ours: whoever can open this socket is the owner.
 */
export const ControlRequest = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("health_check") }),
  z.strictObject({
    op: z.literal("shutdown_user"),
    payload: z.strictObject({
      user_id: Id,
      /** Ours: what turns that run have to reach their end, instead of what the runner gives them. */
      drain_ms: z.number().int().nonnegative().max(LIMITS.stopDrainMsMax).exactOptional(),
    }),
  }),
  z.strictObject({ op: z.literal("logs"), payload: LogsRequest }),
  z.strictObject({ op: z.literal("start_options") }),
  z.strictObject({ op: z.literal("approvals") }),
  /** The file of the tokens has changed. */
  z.strictObject({ op: z.literal("tokens") }),
  z.strictObject({ op: z.literal("reload") }),
  z.strictObject({
    op: z.literal("answer_approval"),
    payload: z.strictObject({
      id: Id,
      answer: z.enum(APPROVAL_ANSWERS),
      /** Integer ms UTC, with `until` alone. */
      until: z.number().int().nonnegative().exactOptional(),
    }),
  }),
]);
/** One of them. */
export type ControlRequest = z.infer<typeof ControlRequest>;

const Count = z.number().int().nonnegative();

/** What holds the shell, or the browser, as runner/startup_status.ts has it. */
const Part = z.strictObject({
  available: z.boolean(),
  about: z.string(),
  by: z.string().exactOptional(),
  code: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  install: z.string().exactOptional(),
  notes: z.array(z.string()),
});

/** How a runner is: the reference's `RunnerControlHealthStatus`, and from `pid` on what is ours. Its clients drop what they do not know. */
export const HealthStatus = z.strictObject({
  user_id: z.string(),
  /** Its guest lives. */
  healthy: z.boolean(),
  sandbox_tier: Bootstrap.shape.startupStatus.shape.sandbox_tier,
  startup_status: Bootstrap.shape.startupStatus,
  shell_available: z.boolean(),
  browser_available: z.boolean(),
  shutdown: z.boolean(),
  /** Host path. */
  log_dir: z.string(),
  /** Process id of the guest. */
  runtime_pid: Count,
  pid: Count,
  version: z.string(),
  /** `127.0.0.1:PORT`, without the token. */
  gateway: z.string(),
  /** Connected to the gateway: the guest's word. */
  clients: Count,
  /** Calls that wait for an answer. */
  approvals: Count,
  /** Turns that run or wait for their lane: the guest's word. */
  active_turns: Count,
  /** Guests that took the place of another since this runner started. */
  guest_restarts: Count,
  /** What became of the last edit of the configuration; `at` is integer ms UTC. What was refused changed nothing. */
  config: z.strictObject({ state: z.enum(["in_force", "refused"]), at: Count, note: z.string() }),
  /** Absent while nobody has looked. */
  tiers: z.strictObject({ shell: Part, browser: Part }).exactOptional(),
  /** The last entry of the audit log. */
  audit_head: z.strictObject({ seq: Count, sha256: z.string() }),
});
/** One of them. */
export type HealthStatus = z.infer<typeof HealthStatus>;

/** What becomes of a `shutdown_user`: the reference's `RunnerControlShutdownStatus`. It is answered when the stop begins. */
export const ShutdownStatus = z.strictObject({
  user_id: z.string(),
  shutdown: z.boolean(),
  /** Somebody has asked for it before. */
  already_stopped: z.boolean(),
  message: z.string(),
});
/** One of them. */
export type ShutdownStatus = z.infer<typeof ShutdownStatus>;

/**
 * An answer: the request's `op` with what it brought; `health_status` to a `health_check` and `shutdown_status` to a `shutdown_user`, as the
 * reference has it; or `error`, to what the reference knows with one of its codes: `invalid_request`, `unknown_user`, `internal`.
 */
export const ControlReply = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("health_status"), payload: HealthStatus }),
  z.strictObject({ op: z.literal("shutdown_status"), payload: ShutdownStatus }),
  z.strictObject({ op: z.literal("logs"), payload: LogsAnswer }),
  z.strictObject({ op: z.literal("start_options"), payload: StartedWith.nullable() }),
  z.strictObject({ op: z.literal("approvals"), payload: z.array(z.unknown()) }),
  z.strictObject({ op: z.literal("answer_approval") }),
  z.strictObject({ op: z.literal("tokens") }),
  z.strictObject({ op: z.literal("reload"), payload: HealthStatus.shape.config }),
  z.strictObject({ op: z.literal("error"), payload: z.strictObject({ code: z.string(), message: z.string() }) }),
]);
/** One of them. */
export type ControlReply = z.infer<typeof ControlReply>;
