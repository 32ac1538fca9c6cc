import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { EgressRoute } from "#/sandbox/egress_frames.ts";

const Slot = z.int().min(0).max(LIMITS.tunnelsMax - 1);

/** What the runner tells an egress process of tunnels. `tunnel` null: each request names its own, for it comes from the other process. */
export const TunnelOrder = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("listen"), tunnel: Slot.nullable(), path: z.string().max(128) }),
  /** Ask again about each of its connections, and end those that are refused by now. */
  z.strictObject({ op: z.literal("check"), tunnel: Slot }),
  z.strictObject({ op: z.literal("close"), tunnel: Slot }),
]);
export type TunnelOrder = z.infer<typeof TunnelOrder>;

/** What an egress process asks the runner before it resolves anything. `host` as in ConnectTarget. */
export const TunnelAsk = z.strictObject({
  tunnel: Slot,
  host: z.string().max(253),
  port: z.int().min(1).max(65_535),
});
export type TunnelAsk = z.infer<typeof TunnelAsk>;

/** Where a connection goes on: as EgressRoute says, or to the process of listed hosts, which asks for itself. */
export const TunnelRoute = z.discriminatedUnion("kind", [
  ...EgressRoute.options,
  z.strictObject({ kind: z.literal("relay"), path: z.string().max(128) }),
]);
export type TunnelRoute = z.infer<typeof TunnelRoute>;

/** How a connection was: for the audit, never shown to a model. Bytes as they were carried, times in milliseconds. */
export const TunnelEnd = TunnelAsk.extend({
  address: z.string().max(64),
  upBytes: z.int().min(0),
  downBytes: z.int().min(0),
  elapsedMs: z.int().min(0),
  /** Why it was ended from our side. */
  reason: z.string().max(200).exactOptional(),
});
export type TunnelEnd = z.infer<typeof TunnelEnd>;
