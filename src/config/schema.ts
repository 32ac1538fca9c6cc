import { z } from "zod";
import { ChannelsConfig } from "#/channel/config.ts";
import { GatewayConfig, WebConfig } from "#/gateway/config.ts";
import { httpUrl, line, name, ratio, seconds, secretText } from "#/lib/field.ts";
import { MemoryConfig } from "#/memory/config.ts";
import { CatalogConfig, ProvidersConfig, ReliabilityConfig, Selection } from "#/provider/config.ts";
import {
  BehaviorConfig,
  GuestImages,
  McpConfig,
  MountsConfig,
  ResourcesConfig,
  SecretConfig,
  Tier,
  UserId,
  UserRegistration,
} from "#/sandbox/config.ts";
import { PolicyConfig } from "#/sandbox/policy_rule.ts";
import { SchedulerConfig } from "#/scheduler/config.ts";
import { ToolsConfig } from "#/tools/config.ts";
import { AgentDefinition, RuntimeConfig } from "#/turn/config.ts";

/** `config_version`: the major version is 1. */
export const ConfigVersion = z.string().regex(/^1(\.\d{1,9}){0,3}$/, 'must have the major version 1, as "1.0.0"');

/** `[observability]`: what is exported, and where to. Defaults are the reference's. */
export const ObservabilityConfig = z.strictObject({
  enabled: z.boolean().default(false),
  exporter: z.enum(["otlp", "stdout", "none"]).default("otlp"),
  otlp_endpoint: httpUrl().default("http://localhost:4317"),
  service_name: line().default("oxydra"),
  metrics: z.strictObject({
    enabled: z.boolean().default(true),
    export_interval_seconds: seconds().default(30),
  }).prefault({}),
  traces: z.strictObject({ enabled: z.boolean().default(true), sample_rate: ratio().default(1) }).prefault({}),
});

/** agent.toml and providers.toml of every layer: both may hold any of these keys. */
export const AgentFile = z.strictObject({
  config_version: ConfigVersion.default("1.0.0"),
  selection: Selection.prefault({}),
  providers: ProvidersConfig.prefault({}),
  runtime: RuntimeConfig.prefault({}),
  gateway: GatewayConfig.prefault({}),
  memory: MemoryConfig.prefault({}),
  reliability: ReliabilityConfig.prefault({}),
  tools: ToolsConfig.prefault({}),
  scheduler: SchedulerConfig.prefault({}),
  agents: z.record(name(), AgentDefinition.extend({ selection: Selection.optional() })).prefault({}),
  catalog: CatalogConfig.prefault({}),
  observability: ObservabilityConfig.prefault({}),
  mcp: McpConfig.prefault({}),
  policy: PolicyConfig.prefault({}),
  secrets: z.record(name(), SecretConfig).prefault({}),
});
export type AgentFile = z.infer<typeof AgentFile>;

/** runner.toml. `workspace_root` is absolute once loaded. */
export const RunnerFile = z.strictObject({
  config_version: ConfigVersion.default("1.0.1"),
  workspace_root: line().default("workspaces"),
  default_tier: Tier.default("process"),
  guest_images: GuestImages.prefault({}),
  users: z.record(UserId, UserRegistration).prefault({}),
  web: WebConfig.prefault({}),
});
export type RunnerFile = z.infer<typeof RunnerFile>;

/** The file of one user, which runner.toml names. */
export const UserFile = z.strictObject({
  config_version: ConfigVersion.default("1.0.1"),
  mounts: MountsConfig.prefault({}),
  resources: ResourcesConfig.prefault({}),
  /** `env:NAME`, `file:/path`, or the value itself, which is why none is ever shown. */
  credential_refs: z.record(name(), secretText()).prefault({}),
  behavior: BehaviorConfig.prefault({}),
  channels: ChannelsConfig.prefault({}),
});
export type UserFile = z.infer<typeof UserFile>;

/** Everything: the agent's keys at the top, runner.toml as `runner`, the chosen user's file as `user`. Keys are those of the files. */
export const Config = AgentFile.extend({ runner: RunnerFile.prefault({}), user: UserFile.prefault({}) });
export type Config = z.infer<typeof Config>;
