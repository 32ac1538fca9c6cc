import { z } from "zod";
import { envName, httpUrl, line, seconds } from "#/lib/field.ts";

/** Every tool that an agent may name (SPEC §3), those that arrive later included: a folder of the reference must load. */
export const TOOL_NAMES: readonly string[] = [
  "file_read",
  "file_search",
  "file_list",
  "file_write",
  "file_edit",
  "file_delete",
  "web_fetch",
  "web_search",
  "vault_copyto",
  "attachment_save",
  "send_media",
  "shell_exec",
  "browser",
  "memory_search",
  "memory_save",
  "memory_update",
  "memory_delete",
  "scratchpad_read",
  "scratchpad_write",
  "scratchpad_clear",
  "schedule_create",
  "schedule_search",
  "schedule_edit",
  "schedule_delete",
  "schedule_runs",
  "schedule_run_output",
  "delegate_to_agent",
];

/** `[tools.shell]`: which commands the model may run. Defaults are the reference's. */
export const ShellConfig = z.strictObject({
  enabled: z.boolean().default(true),
  allow: z.array(line()).default(["*"]),
  deny: z.array(line()).default([]),
  replace_defaults: z.boolean().default(false),
  allow_operators: z.boolean().default(true),
  env_keys: z.array(envName()).default([]),
  command_timeout_secs: seconds().default(60),
});
export type ShellConfig = z.infer<typeof ShellConfig>;

/** A name, an IPv4 address or a bracketed IPv6 address with or without a port, or a bare IPv6 address. */
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$|^(?=.*:.*:)[0-9a-fA-F:.]+$/;

/**
 * `[tools.web_search]`. Lists that the reference keeps as text with commas stay text. `egress_mode` and `egress_proxy_url` are
 * the reference's OXYDRA_WEB_EGRESS_MODE and OXYDRA_WEB_EGRESS_PROXY_URL as keys.
 */
export const WebSearchConfig = z.strictObject({
  provider: z.enum(["duckduckgo", "google", "searxng"]).default("duckduckgo"),
  base_url: httpUrl().optional(),
  base_urls: line().refine(areHttpUrls, "must be http:// or https:// addresses with commas between them").optional(),
  api_key_env: envName().optional(),
  engine_id_env: envName().optional(),
  query_params: line().optional(),
  engines: line().optional(),
  categories: line().optional(),
  safesearch: z.int().min(0).max(2).optional(),
  egress_allowlist: z.array(z.string().regex(HOST, "must be host or host:port")).default([]),
  egress_mode: z.enum(["default", "strict"]).default("default"),
  egress_proxy_url: httpUrl().optional(),
});
export type WebSearchConfig = z.infer<typeof WebSearchConfig>;

/** `[tools.attachment_save]`. */
export const AttachmentSaveConfig = z.strictObject({ timeout_secs: seconds().default(60) });
export type AttachmentSaveConfig = z.infer<typeof AttachmentSaveConfig>;

/** `[tools.browser]`: `cdp_url` is a Chromium that runs already. */
export const BrowserConfig = z.strictObject({ enabled: z.boolean().default(true), cdp_url: httpUrl().optional() });
export type BrowserConfig = z.infer<typeof BrowserConfig>;

/** `[tools]`. */
export const ToolsConfig = z.strictObject({
  web_search: WebSearchConfig.prefault({}),
  shell: ShellConfig.prefault({}),
  browser: BrowserConfig.prefault({}),
  attachment_save: AttachmentSaveConfig.prefault({}),
});
export type ToolsConfig = z.infer<typeof ToolsConfig>;

function areHttpUrls(text: string): boolean {
  const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.length > 0 && parts.every((part) => httpUrl().safeParse(part).success);
}
