import { z } from "zod";
import { USER_ID } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Modality, ModelDescriptor } from "#/core/model.ts";
import { Secret } from "#/lib/secret.ts";
import { ProviderType, ReasoningEffort } from "#/provider/type.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

const Modalities: z.ZodType<readonly Modality[]> = z.array(
  z.enum(["text", "image", "audio", "video", "pdf", "document"]),
);

const Dollars = z.number().nonnegative();
const Price = z.strictObject({
  input: Dollars,
  output: Dollars,
  cacheRead: Dollars.exactOptional(),
  cacheWrite: Dollars.exactOptional(),
});

const Descriptor: z.ZodType<ModelDescriptor> = z.strictObject({
  id: z.string().min(1),
  name: z.string(),
  contextTokens: z.number().int().positive(),
  inputTokens: z.number().int().positive().exactOptional(),
  outputTokens: z.number().int().positive(),
  input: Modalities,
  output: Modalities,
  toolCall: z.boolean(),
  reasoning: z.boolean(),
  structuredOutput: z.boolean(),
  price: Price.extend({
    tiers: z.array(Price.extend({ aboveTokens: z.number().int().nonnegative() })).exactOptional(),
  }).exactOptional(),
  source: z.string(),
});

/** How the guest reaches its model. The key is the one secret that a guest holds (SECURITY.md). */
export const ModelChoice = z.strictObject({
  /** Entry name in `[providers.registry]`, or `demo`. */
  provider: z.string().min(1),
  type: ProviderType,
  model: z.string().min(1),
  descriptor: Descriptor.exactOptional(),
  baseUrl: z.string().optional(),
  apiKey: z.string().optional(),
  /** Name of the setting or variable that the key came from, for error messages. */
  apiKeySource: z.string().optional(),
  extraHeaders: z.record(z.string(), z.string()),
  /** Of a fallback: the entry's own setting. */
  maxOutputTokens: z.number().int().positive().exactOptional(),
  /** Why this one, in a sentence for the person. */
  reason: z.string(),
});
export type ModelChoice = z.infer<typeof ModelChoice>;

/** What opens a provider for it. */
export function toProviderOptions(choice: ModelChoice, fetch: typeof globalThis.fetch): ProviderOptions {
  const { provider: name, baseUrl, apiKey, apiKeySource, extraHeaders } = choice;
  return {
    name,
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(apiKey === undefined ? {} : { apiKey: new Secret(apiKey) }),
    ...(apiKeySource === undefined ? {} : { apiKeySource }),
    extraHeaders,
    fetch,
  };
}

const Count = z.number().int().nonnegative();

/** Limits of the loop, from `[runtime]`, `[reliability]` and `[gateway]`. */
export const GuestSettings = z.strictObject({
  turnsMax: Count.positive(),
  turnTimeoutMs: Count.positive(),
  costMax: z.number().positive().optional(),
  costPerDayMax: z.number().positive().exactOptional(),
  contextTokensMax: Count.positive(),
  safetyBufferTokens: Count,
  /** Absent: what does not fit into the window is dropped. */
  summary: z.strictObject({
    triggerRatio: z.number().positive().max(1),
    targetRatio: z.number().positive().max(1),
    minTurns: Count.positive(),
  }).exactOptional(),
  maxOutputTokens: Count.positive().optional(),
  reasoning: ReasoningEffort.exactOptional(),
  attemptsMax: Count.positive(),
  backoffBaseMs: Count,
  backoffMaxMs: Count,
  jitter: z.boolean(),
  attemptTimeoutMs: Count.positive().exactOptional(),
  cooldownMs: Count.positive(),
  concurrentTurnsMax: Count.positive(),
  sessionsMax: Count.positive(),
  sessionIdleMs: Count.positive(),
});
export type GuestSettings = z.infer<typeof GuestSettings>;

/** A tool of an installed package, as the model sees it. Ours the guest knows. */
export const OfferedTool = z.strictObject({
  schema: z.strictObject({
    name: z.string().max(64),
    description: z.string(),
    parameters: z.record(z.string(), z.unknown()),
  }),
  effect: z.enum(["read_only", "side_effecting", "privileged"]),
});
export type OfferedTool = z.infer<typeof OfferedTool>;

/** As clients of the reference know them; not from the gateway's own list, which would load its frames into the runner. */
const DegradedCode = z.enum([
  "insecure_process_tier",
  "process_hardening_limited",
  "sidecar_unavailable",
  "sidecar_transport_unsupported",
  "sidecar_endpoint_invalid",
  "sidecar_connection_failed",
  "sidecar_protocol_error",
  "runtime_shutdown",
]);

const DOOR = { hosts: z.array(z.string()).exactOptional(), isProxied: z.boolean().exactOptional() };

/** The first thing on a guest's stdin, in the reference's framing (4-byte big-endian length + JSON). A guest has no environment and no arguments. */
export const Bootstrap = z.strictObject({
  v: z.literal(1),
  version: z.string(),
  user: z.string().regex(USER_ID),
  /** Names this workspace on this machine, the same at each start: its earlier starts are dead, since the runner has the lock. */
  node: z.string().regex(/^[0-9a-f]{1,64}$/).exactOptional(),
  /** Host path of the guest's own folder: the event log and the token file lie there. */
  internalDir: z.string(),
  /** Port of 127.0.0.1 to listen on; 0 takes any free one. */
  port: z.number().int().min(0).max(65_535),
  /** By which names clients come there, and where else to listen; see `Address` of the gateway. */
  listen: z.strictObject({
    main: z.strictObject({
      ...DOOR,
      /** In a container: all its addresses, since what publishes the port comes from outside. */
      hostname: z.literal("0.0.0.0").exactOptional(),
      publishedBy: z.string().exactOptional(),
    }).exactOptional(),
    also: z.strictObject({
      hostname: z.string().min(1),
      port: z.number().int().min(1).max(65_535),
      ...DOOR,
      tls: z.strictObject({ cert: z.string(), key: z.string() }).exactOptional(),
    }).exactOptional(),
  }).exactOptional(),
  /** What else opens the gateway: the tokens that the person made. */
  tokens: z.array(z.strictObject({
    id: z.string().max(32),
    sha256: z.string().length(64),
    scope: z.enum(["owner", "read", "channel"]),
    expiresAt: Count.exactOptional(),
  })).max(LIMITS.tokensMax).exactOptional(),
  /** Token made for this start; the runner writes it into the endpoint file. */
  startToken: z.string().min(32),
  timezone: z.string(),
  model: ModelChoice,
  /** Who answers when `model` cannot, in this order. */
  fallback: z.array(ModelChoice).max(LIMITS.fallbacksMax).exactOptional(),
  settings: GuestSettings,
  /** The remote store of the event log, with its secret; absent: the file in `internalDir`. */
  store: z.strictObject({ url: z.string(), token: z.string() }).exactOptional(),
  offered: z.array(OfferedTool).exactOptional(),
  /** `[tools.shell] command_timeout_secs` where there is a shell; without it the model is offered none. */
  shellSecs: Count.positive().exactOptional(),
  /** There is a browser; without it the model is offered none. */
  hasBrowser: z.literal(true).exactOptional(),
  startupStatus: z.strictObject({
    sandbox_tier: z.enum(["micro_vm", "container", "process"]),
    sidecar_available: z.boolean(),
    shell_available: z.boolean(),
    browser_available: z.boolean(),
    degraded_reasons: z.array(z.strictObject({ code: DegradedCode, detail: z.string() })).exactOptional(),
  }),
});
export type Bootstrap = z.infer<typeof Bootstrap>;

/** Guest → runner, outside any call. */
export const GuestNotice = z.discriminatedUnion("type", [
  z.strictObject({ v: z.literal(1), type: z.literal("listening"), port: z.number().int().min(1).max(65_535) }),
  /** How many clients are connected now. */
  z.strictObject({ v: z.literal(1), type: z.literal("clients"), count: Count }),
  /** A turn begins: tools may be needed in a moment. */
  z.strictObject({ v: z.literal(1), type: z.literal("turn") }),
  /** How many turns run or wait for their lane now; those that wait for a person are not among them. */
  z.strictObject({ v: z.literal(1), type: z.literal("turns"), count: Count }),
  /** It was told to drain, and no turn runs any more. */
  z.strictObject({ v: z.literal(1), type: z.literal("drained") }),
  /** Start failed; `code` is an ErrorCode. */
  z.strictObject({
    v: z.literal(1),
    type: z.literal("failed"),
    code: z.string().max(64),
    message: z.string().max(4_000),
  }),
]);
export type GuestNotice = z.infer<typeof GuestNotice>;
