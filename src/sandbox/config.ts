import { z } from "zod";
import { USER_ID } from "#/core/id.ts";
import type { ToolEffect } from "#/core/tool.ts";
import { count, envName, httpUrl, line, name, timezone } from "#/lib/field.ts";

/** `[secrets.NAME]`: a value from the environment that a tool may spend, in a header, on these hosts, and never sees. */
export const SecretConfig = z.strictObject({
  env: envName(),
  hosts: z.array(line()).min(1),
  /** False: what it opens is public; any other marks its session as one that has seen something private. */
  private: z.boolean().default(true),
});
export type SecretConfig = z.infer<typeof SecretConfig>;

/** Where a user's guest and shell run. A configured tier that cannot start is refused, never lowered. */
export const Tier = z.enum(["process", "container", "micro_vm"]);
export type Tier = z.infer<typeof Tier>;

/** `[users.ID]` of runner.toml. A relative `config_path` starts at the folder of runner.toml. */
export const UserRegistration = z.strictObject({ config_path: line() });
export type UserRegistration = z.infer<typeof UserRegistration>;

/** A user id as a key. */
export const UserId = z.string().regex(
  USER_ID,
  "must be a user id: 1 to 32 of a-z, 0-9, '_' or '-', a letter or digit first",
);
export type UserId = z.infer<typeof UserId>;

/** `[guest_images]` of runner.toml. Defaults are the reference's. */
export const GuestImages = z.strictObject({
  oxydra_vm: line().default("oxydra-vm:latest"),
  shell_vm: line().default("shell-vm:latest"),
  firecracker_oxydra_vm_config: line().optional(),
  firecracker_shell_vm_config: line().optional(),
});

/** `[mounts]` of a user's file. A relative path starts at the user's workspace. */
export const MountsConfig = z.strictObject({
  shared: line().optional(),
  tmp: line().optional(),
  vault: line().optional(),
});

/** `[resources]` of a user's file; absent means no limit of its own. */
export const ResourcesConfig = z.strictObject({
  max_vcpus: count(65_535).optional(),
  max_memory_mib: count().optional(),
  max_processes: count().optional(),
});

/** `[behavior]` of a user's file. `shell_enabled` and `browser_enabled` can only restrict. */
export const BehaviorConfig = z.strictObject({
  sandbox_tier: Tier.optional(),
  shell_enabled: z.boolean().optional(),
  browser_enabled: z.boolean().optional(),
  timezone: timezone().default("UTC"),
});

const SAFETY_TIERS = {
  ReadOnly: "read_only",
  SideEffecting: "side_effecting",
  Privileged: "privileged",
  read_only: "read_only",
  side_effecting: "side_effecting",
  privileged: "privileged",
} as const satisfies Record<string, ToolEffect>;

/** `[[mcp.servers]]`: `stdio` has a command, `http` a url. The reference writes its tiers in camel case; both are read. */
export const McpServer = z.strictObject({
  name: name(),
  transport: z.enum(["stdio", "http"]),
  command: line().optional(),
  url: httpUrl().optional(),
  safety_tier: z.enum(Object.keys(SAFETY_TIERS) as (keyof typeof SAFETY_TIERS)[])
    .transform((tier): ToolEffect => SAFETY_TIERS[tier]).prefault("Privileged"),
}).superRefine((server, context) => {
  const [needed, refused] = server.transport === "stdio" ? ["command", "url"] as const : ["url", "command"] as const;
  if (server[needed] === undefined) {
    context.addIssue({ code: "custom", path: [needed], message: `is needed for transport = "${server.transport}"` });
  }
  if (server[refused] !== undefined) {
    context.addIssue({ code: "custom", path: [refused], message: `is not for transport = "${server.transport}"` });
  }
});

/** `[mcp]`. */
export const McpConfig = z.strictObject({
  servers: z.array(McpServer).superRefine((servers, context) => {
    for (const [index, server] of servers.entries()) {
      if (servers.findIndex((other) => other.name === server.name) === index) continue;
      context.addIssue({ code: "custom", path: [index, "name"], message: "is the name of an earlier server" });
    }
  }).default([]),
});
