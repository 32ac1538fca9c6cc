import { z } from "zod";
import {
  APPROVAL_ANSWERS,
  type ApprovalCard,
  type Capability,
  type Decision,
  HTTP_METHODS,
  type Outcome,
  type Principal,
  type ToolIdentity,
  type ToolRequest,
} from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import { USER_ID } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";

const Id = z.string().max(LIMITS.idCharsMax);
/** Where a call belongs. */
const Place = { session: Id, turn: Id, callId: Id };
const Count = z.number().int().nonnegative();
const Code: z.ZodType<ErrorCode> = z.string().regex(/^[a-z_]{1,64}$/) as unknown as z.ZodType<ErrorCode>;

const PrincipalShape: z.ZodType<Principal> = z.strictObject({
  user: z.string().regex(USER_ID),
  agent: z.array(z.string().max(64)).max(16),
  origin: z.enum(["channel", "schedule", "subagent", "api"]),
});

/** A tool call as a guest sends it. Strict: a grant, a policy or anything else beside these fields is refused. */
export const CallRequest: z.ZodType<ToolRequest> = z.strictObject({
  principal: PrincipalShape,
  ...Place,
  tool: Id,
  args: z.unknown(),
  resumed: z.literal(true).exactOptional(),
  traceparent: z.string().regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/).exactOptional(),
});
export type CallRequest = ToolRequest;

const CapabilityShape: z.ZodType<Capability> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("fs.read"), path: z.string(), scope: z.enum(["file", "tree"]), bytesMax: Count }),
  z.strictObject({ kind: z.literal("fs.list"), path: z.string(), scope: z.enum(["dir", "tree"]), entriesMax: Count }),
  z.strictObject({ kind: z.literal("fs.write"), path: z.string(), mode: z.enum(["write", "delete"]), bytesMax: Count }),
  z.strictObject({
    kind: z.literal("http"),
    scheme: z.enum(["http", "https"]),
    host: z.string(),
    port: Count,
    methods: z.array(z.enum(HTTP_METHODS)),
    path: z.string(),
    scope: z.enum(["exact", "tree"]),
    bytesUpMax: Count,
    bytesDownMax: Count,
    redirectsMax: Count,
  }),
  z.strictObject({ kind: z.literal("secret"), name: z.string(), hosts: z.array(z.string()) }),
  z.strictObject({ kind: z.literal("config"), section: z.string() }),
  z.strictObject({ kind: z.literal("browser"), action: z.string() }),
  z.strictObject({ kind: z.literal("shell"), command: z.string() }),
  z.strictObject({ kind: z.literal("connect"), host: z.string(), port: Count }),
  z.strictObject({ kind: z.enum(["clock", "random", "log"]) }),
]);

const ToolIdentityShape: z.ZodType<ToolIdentity> = z.strictObject({
  name: z.string(),
  package: z.string(),
  version: z.string(),
  sha256: z.string(),
});

const capabilities = z.array(CapabilityShape);
const source = z.string();
const answer = z.enum(["owner", "relayed"]);
const Judged = { policyDigest: z.string(), source };
const Lacking = { ...Judged, missing: capabilities, reason: z.string() };
const DecisionShape: z.ZodType<Decision> = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("granted"),
    grant: z.strictObject({ id: z.string(), capabilities, source, expiresAt: Count }),
    ...Judged,
  }),
  z.strictObject({ kind: z.literal("denied"), ...Lacking }),
  z.strictObject({ kind: z.literal("ask"), ...Lacking, wanted: capabilities, answer }),
]);

/** What a guest says beside its calls: an answer that it passes on; a session that it made from another one, or from a file; one that is deleted. */
export const ToldRequest = z.union([
  z.strictObject({
    approval: z.strictObject({ id: Id, answer: z.enum(APPROVAL_ANSWERS), until: Count.exactOptional() }),
  }),
  z.strictObject({ derived: z.strictObject({ session: Id, from: Id.exactOptional() }) }),
  z.strictObject({ forget: Id }),
]);
export type ToldRequest = z.infer<typeof ToldRequest>;

/** What the runner asks its guest: one attachment of a turn, by its index from 0. */
export const AttachmentRequest = z.strictObject({
  attachment: z.strictObject({ session: Id, turn: Id, index: Count }),
});
export type AttachmentRequest = z.infer<typeof AttachmentRequest>;

/** The answer; the bytes follow. A media type is words of whoever sent the file. */
export const AttachmentReply = z.strictObject({ mimeType: z.string().max(256) });
export type AttachmentReply = z.infer<typeof AttachmentReply>;

/** A token that opens the guest's gateway, as the runner says: never the token itself. Integer ms UTC. */
export const TokenShape = z.strictObject({
  id: z.string().max(32),
  sha256: z.string().length(64),
  scope: z.enum(["owner", "read", "channel"]),
  expiresAt: Count.exactOptional(),
});

/**
 * What the runner tells its guest outside any call: a card was answered; the tokens that the person made are now these; take no new turn
 * and say when none runs; or how the output of a call that runs ends so far.
 */
export const RunnerNotice = z.discriminatedUnion("type", [
  z.strictObject({
    v: z.literal(1),
    type: z.literal("approval"),
    resolution: z.strictObject({
      id: Id,
      ...Place,
      answer: z.enum(APPROVAL_ANSWERS),
      by: z.enum(["owner", "relayed", "silence"]),
    }),
  }),
  z.strictObject({ v: z.literal(1), type: z.literal("tokens"), tokens: z.array(TokenShape).max(LIMITS.tokensMax) }),
  z.strictObject({ v: z.literal(1), type: z.literal("drain") }),
  z.strictObject({ v: z.literal(1), type: z.literal("output"), ...Place, tail: z.string(), lines: Count }),
]);
export type RunnerNotice = z.infer<typeof RunnerNotice>;

/** A card as it is kept and sent. */
export const ApprovalCardShape: z.ZodType<ApprovalCard> = z.strictObject({
  id: Id,
  key: Id,
  ...Place,
  principal: PrincipalShape,
  tool: ToolIdentityShape,
  argsSha256: Id,
  wanted: capabilities,
  lines: z.array(z.string()),
  reason: z.string(),
  answer,
  askedAt: Count,
  expiresAt: Count,
});

/** An outcome without its text, which follows as bytes. */
export type CallReply = Omit<Outcome, "text">;

/** The head of an answer to a call. */
export const CallReply: z.ZodType<CallReply> = z.strictObject({
  kind: z.enum(["ok", "failed", "denied", "ask"]),
  tool: ToolIdentityShape,
  decision: DecisionShape.exactOptional(),
  card: ApprovalCardShape.exactOptional(),
  auditHead: z.strictObject({ seq: Count, sha256: z.string() }).exactOptional(),
  code: Code.exactOptional(),
  outputBytes: Count,
  elapsedMs: Count,
});
