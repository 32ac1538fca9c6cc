import { z } from "zod";
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

/** An answer: the request's `op` with what it brought, or `error`. */
export const ControlReply = z.discriminatedUnion("op", [
  z.strictObject({
    op: z.literal("health_check"),
    payload: z.strictObject({ pid: z.number().int(), approvals: z.number().int() }),
  }),
  z.strictObject({ op: z.literal("approvals"), payload: z.array(z.unknown()) }),
  z.strictObject({ op: z.literal("answer_approval") }),
  z.strictObject({ op: z.literal("error"), payload: z.strictObject({ code: z.string(), message: z.string() }) }),
]);
/** One of them. */
export type ControlReply = z.infer<typeof ControlReply>;
