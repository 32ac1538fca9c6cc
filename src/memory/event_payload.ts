import { z } from "zod";
import type { AuditHead } from "#/core/audit.ts";
import type { Capability, Decision } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";
import type { AskedOfTurn, BudgetKind, CallPurpose, EventPayloads, EventType } from "#/core/event.ts";
import type { Replay, ToolCall, Usage } from "#/core/message.ts";

const count = z.number().int().nonnegative();
const text = z.string();
// JSON has no undefined: what was recorded without a value is read as null.
const anything = z.unknown().default(null);

// Names of codes, budgets, purposes and capabilities grow without a new version of the kinds that carry them: any name is read.
const code = z.custom<ErrorCode>((value) => typeof value === "string" && value !== "");
const resultCode = z.custom<ErrorCode | "ok">((value) => typeof value === "string" && value !== "");
const budgetKind = z.custom<BudgetKind>((value) => typeof value === "string" && value !== "");
const purpose = z.custom<CallPurpose>((value) => typeof value === "string" && value !== "");
const capability = z.custom<Capability>((value) =>
  typeof value === "object" && value !== null && "kind" in value && typeof value.kind === "string"
);

// Numbers of a vendor, as they came.
const usage: z.ZodType<Usage> = z.looseObject({
  promptTokens: z.number().exactOptional(),
  completionTokens: z.number().exactOptional(),
  cachedTokens: z.number().exactOptional(),
  cacheWriteTokens: z.number().exactOptional(),
  reasoningTokens: z.number().exactOptional(),
  totalTokens: z.number().exactOptional(),
});

const toolCall: z.ZodType<ToolCall> = z.looseObject({
  id: text,
  name: text,
  arguments: text,
  droppedBytes: count.exactOptional(),
  metadata: z.unknown().exactOptional(),
});

const modelName = z.looseObject({ provider: text, model: text });
const replay: z.ZodType<Replay> = z.looseObject({
  provider: text,
  model: text,
  at: text.exactOptional(),
  data: anything,
});
const blob = z.looseObject({ sha256: text, bytes: count, mimeType: text });

const tool = z.looseObject({ name: text, package: text, version: text, sha256: text });

const principal = z.looseObject({
  user: text,
  agent: z.array(text),
  origin: z.enum(["channel", "schedule", "subagent", "api"]),
});

const asked: z.ZodType<AskedOfTurn> = z.looseObject({
  origin: z.literal("api"),
  instructions: text.exactOptional(),
  outputSchema: z.looseObject({ name: text, schema: z.record(z.string(), z.unknown()) }).exactOptional(),
  maxOutputTokens: z.number().int().positive().exactOptional(),
});

const capabilities = z.array(capability);
const judged = { policyDigest: text, source: text };
const lacking = { ...judged, missing: capabilities, reason: text };
const decision: z.ZodType<Decision> = z.discriminatedUnion("kind", [
  z.looseObject({
    kind: z.literal("granted"),
    grant: z.looseObject({ id: text, capabilities, source: text, expiresAt: count }),
    ...judged,
  }),
  z.looseObject({ kind: z.literal("denied"), ...lacking }),
  z.looseObject({ kind: z.literal("ask"), ...lacking, wanted: capabilities, answer: z.enum(["owner", "relayed"]) }),
]);

const auditHead: z.ZodType<AuditHead> = z.looseObject({ seq: count, sha256: text });

/**
 * What a payload of each kind must have to be read back, at its last version (core/event.ts says what the fields mean). Loose: a field
 * that a later minor change added is kept.
 */
export const EVENT_PAYLOADS: { readonly [T in EventType]: z.ZodType<EventPayloads[T]> } = {
  user_message: z.looseObject({
    text,
    channel: text,
    attachments: z.array(z.looseObject({ mimeType: text, data: text })).exactOptional(),
    requestId: text.exactOptional(),
    asked: asked.exactOptional(),
  }),
  model_request: z.looseObject({
    step: count,
    provider: text,
    model: text,
    parameters: z.record(z.string(), z.unknown()),
    window: z.looseObject({
      sha256: text,
      fromSeq: count,
      toSeq: count,
      messages: count,
      droppedMessages: count,
      summaryEpoch: count.exactOptional(),
      tokensMax: count.exactOptional(),
    }),
    purpose: purpose.exactOptional(),
    reserved: z.number().nonnegative().exactOptional(),
  }),
  model_result: z.looseObject({
    step: count,
    text,
    reasoning: text.exactOptional(),
    toolCalls: z.array(toolCall),
    finishReason: text,
    usage,
    cost: z.number().nonnegative().exactOptional(),
    costIsEstimate: z.boolean().exactOptional(),
    answeredBy: modelName.exactOptional(),
    replay: replay.exactOptional(),
    failure: z.looseObject({ code, message: text }).exactOptional(),
    media: z.array(blob).exactOptional(),
    purpose: purpose.exactOptional(),
    retries: z.array(z.looseObject({
      attempt: count,
      waitMs: z.number().nonnegative(),
      code,
      message: text,
      switchedTo: modelName.exactOptional(),
    })).exactOptional(),
  }),
  tool_intent: z.looseObject({
    callId: text,
    step: count,
    tool: text,
    effect: z.enum(["read_only", "side_effecting", "privileged"]),
    args: anything,
    argsSha256: text,
    principal,
    node: text.exactOptional(),
  }),
  tool_decision: z.looseObject({ callId: text, tool, decision }),
  tool_result: z.looseObject({
    callId: text,
    tool: text,
    ok: z.boolean(),
    code: resultCode,
    text,
    outputBytes: count,
    truncated: z.boolean(),
    elapsedMs: z.number().nonnegative(),
    auditHead: auditHead.exactOptional(),
  }),
  approval_asked: z.looseObject({ callId: text, card: anything }),
  approval_answered: z.looseObject({
    callId: text,
    id: text.exactOptional(),
    answer: text,
    by: text,
    node: text.exactOptional(),
  }),
  parked: z.looseObject({ callId: text, reason: text }),
  resumed: z.looseObject({ attempt: count }),
  summary: z.looseObject({ fromSeq: count, toSeq: count, text, epoch: count }),
  budget: z.looseObject({ kind: budgetKind, used: z.number(), limit: z.number() }),
  steering: z.looseObject({ id: text, text }),
  forgotten: z.looseObject({ events: count, blobs: count, bytes: count }),
  turn_done: z.looseObject({
    text,
    finishReason: text,
    steps: count,
    toolCalls: count,
    denied: count,
    usage,
    cost: z.number().nonnegative().exactOptional(),
    auditHead: auditHead.exactOptional(),
  }),
  turn_failed: z.looseObject({ code, message: text, steps: count }),
  turn_cancelled: z.looseObject({ reason: text, steps: count }),
};
