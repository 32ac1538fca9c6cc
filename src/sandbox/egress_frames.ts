import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";

/** A header of a request or an answer. */
export const EgressHeader = z.tuple([z.string().max(256), z.string().max(LIMITS.egressHeaderCharsMax)]);
export type EgressHeader = z.infer<typeof EgressHeader>;

/** How a request leaves the machine: checked to be public; by name, because its `host:port` is listed; or through the proxy of strict mode. */
export const EgressRoute = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("public") }),
  z.strictObject({ kind: z.literal("listed") }),
  z.strictObject({ kind: z.literal("proxy"), url: z.string().max(LIMITS.egressUrlCharsMax) }),
]);
export type EgressRoute = z.infer<typeof EgressRoute>;

/**
 * One HTTP exchange, no redirect followed. `body` is base64, "" for none. Of the answer's body at most `downBytesMax` bytes are given
 * back, counted after inflating; `truncated` says that there was more.
 */
export const EgressRequest = z.strictObject({
  url: z.string().max(LIMITS.egressUrlCharsMax),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
  headers: z.array(EgressHeader).max(LIMITS.egressHeadersMax),
  body: z.string().max(Math.ceil(LIMITS.egressUpBytesMax / 3) * 4).regex(/^[A-Za-z0-9+/]*={0,2}$/),
  downBytesMax: z.int().min(0).max(LIMITS.egressDownBytesMax),
  timeoutMs: z.int().min(1).max(LIMITS.egressTimeoutMsMax),
});
export type EgressRequest = z.infer<typeof EgressRequest>;

/** What the egress process is asked. */
export const EgressCall = EgressRequest.extend({ route: EgressRoute });
export type EgressCall = z.infer<typeof EgressCall>;

/**
 * The head of an answer; its body is the bytes beside it. `headers` lack what described the wire (encoding, length, hop-by-hop).
 * `address` is for the audit: never shown to a model. `wireBytes` are those read from the socket, TLS included.
 */
export const EgressHead = z.strictObject({
  status: z.int().min(200).max(999),
  headers: z.array(z.tuple([z.string(), z.string()])),
  address: z.string(),
  wireBytes: z.int().min(0),
  bodyBytes: z.int().min(0),
  truncated: z.boolean(),
});
export type EgressHead = z.infer<typeof EgressHead>;
