import { z } from "zod";
import { Bootstrap } from "#/app/bootstrap.ts";
import { APPROVAL_ANSWERS } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";

const Id = z.string().max(LIMITS.idCharsMax);

/**
 * What may be asked at the runner's control socket, in the reference's framing (4-byte big-endian length + JSON) and its form
 * `{op, payload}` (crates/types/src/runner.rs). The approvals are ours: whoever can open this socket is the owner.
 */
export const ControlRequest = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("health_check") }),
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

/** An answer: the request's `op` with what it brought; `health_status` to a `health_check`, as the reference has it; or `error`. */
export const ControlReply = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("health_status"), payload: HealthStatus }),
  z.strictObject({ op: z.literal("approvals"), payload: z.array(z.unknown()) }),
  z.strictObject({ op: z.literal("answer_approval") }),
  z.strictObject({ op: z.literal("tokens") }),
  z.strictObject({ op: z.literal("reload"), payload: HealthStatus.shape.config }),
  z.strictObject({ op: z.literal("error"), payload: z.strictObject({ code: z.string(), message: z.string() }) }),
]);
/** One of them. */
export type ControlReply = z.infer<typeof ControlReply>;
