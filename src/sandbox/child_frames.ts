import { z } from "zod";
import { HTTP_METHODS } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { FromChild } from "#/sandbox/host_call.ts";

// A path or cursor is judged where it is used; here only its size is bounded.
const path = z.string().max(LIMITS.pathBytesMax * 2);

const HostCallFrame = z.discriminatedUnion("fn", [
  z.strictObject({ fn: z.literal("fs-read.read-text"), path }),
  z.strictObject({ fn: z.literal("fs-read.list"), path, recursive: z.boolean() }),
  z.strictObject({ fn: z.literal("fs-read.scan"), path, glob: path, cursor: path }),
  z.strictObject({
    fn: z.literal("fs-write.write-text"),
    path,
    text: z.string(),
    expectSha256: z.string().max(64).exactOptional(),
  }),
  z.strictObject({ fn: z.literal("fs-write.remove"), path }),
  z.strictObject({
    fn: z.literal("http.fetch"),
    method: z.enum(HTTP_METHODS),
    url: z.string().max(LIMITS.urlCharsMax),
    headers: z.array(z.tuple([z.string().max(256), z.string().max(8_192)])).max(LIMITS.requestHeadersMax),
    body: z.string().max(LIMITS.requestBytesMax),
    secrets: z.array(z.strictObject({ header: z.string().max(256), name: z.string().max(64) })).max(4),
  }),
  z.strictObject({ fn: z.literal("config.get"), key: z.string().max(256) }),
  z.strictObject({
    fn: z.literal("log.write"),
    level: z.enum(["debug", "info", "warn", "error"]),
    message: z.string().max(LIMITS.logLineCharsMax),
  }),
]);

const v = z.literal(1);

/** What a tool child may send: hostile glue runs in there, so every head is parsed, strictly. */
export const FromChildFrame: z.ZodType<FromChild> = z.discriminatedUnion("type", [
  z.strictObject({ v, type: z.literal("loaded"), describe: z.string().max(LIMITS.describeCharsMax).exactOptional() }),
  z.strictObject({ v, type: z.literal("load_failed"), message: z.string().max(4_096) }),
  z.strictObject({ v, type: z.literal("host"), call: HostCallFrame }),
  z.strictObject({
    v,
    type: z.literal("result"),
    ok: z.boolean(),
    code: z.string().max(64),
    outputBytes: z.int().min(0),
    contentBytes: z.int().min(0).max(LIMITS.toolOutputBytesMax),
  }),
]);

/** Codes that a component may give to a failure; it has no say about the others. */
const COMPONENT_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "tool_unknown",
  "tool_args_invalid",
  "tool_denied",
  "tool_failed",
  "tool_timeout",
  "tool_crashed",
  "path_invalid",
  "path_outside",
  "file_not_found",
  "file_exists",
  "file_not_regular",
  "file_too_large",
  "file_changed",
  "quota_exceeded",
  "secret_denied",
  "egress_denied",
  "egress_failed",
  "egress_timeout",
]);

/** The code of a failed result as one of ours: what a component made up is `tool_failed`. */
export function toErrorCode(code: string): ErrorCode {
  return COMPONENT_CODES.has(code) ? code as ErrorCode : "tool_failed";
}
