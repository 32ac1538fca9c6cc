import { z } from "zod";
import { count, envName, line, secretText } from "#/lib/field.ts";

const PUBLIC_HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/;

function socketAddress(): z.ZodString {
  return z.string().refine(
    (text) => toSocketAddress(text) !== undefined,
    "must be an address and a port, as 127.0.0.1:9400",
  );
}

/** `[gateway]`: bounds of one user, and how clients reach it. */
export const GatewayConfig = z.strictObject({
  max_sessions_per_user: count(100_000).default(50),
  max_concurrent_turns_per_user: count(1_000).default(10),
  session_idle_ttl_hours: count(1_000_000).default(48),
  /** Where it listens. Elsewhere than on loopback it wants TLS or a proxy, or the two words of `plain_text_to_the_network`. */
  bind: socketAddress().default("127.0.0.1:0"),
  /** Names that clients reach it by, beside 127.0.0.1 and localhost: `host` or `host:port`, as a browser sends them. */
  public_hosts: z.array(z.string().regex(PUBLIC_HOST, "must be a host name, or one with :port")).max(16).default([]),
  /** PEM files, read by the runner at a start. */
  tls_cert_file: line().optional(),
  tls_key_file: line().optional(),
  /** A reverse proxy stands before it: X-Forwarded-Host, -Proto and -For are believed. */
  trusted_proxy: z.boolean().default(false),
  /** The first of two words; `--plain-text-to-the-network` is the other. */
  plain_text_to_the_network: z.boolean().default(false),
});
export type GatewayConfig = z.infer<typeof GatewayConfig>;

/** `[web]` of runner.toml: the configurator. `auth_mode = "token"` needs one of the two token keys. */
export const WebConfig = z.strictObject({
  enabled: z.boolean().default(true),
  bind: socketAddress().default("127.0.0.1:9400"),
  auth_mode: z.enum(["disabled", "token"]).default("disabled"),
  auth_token_env: envName().optional(),
  auth_token: secretText().optional(),
});
export type WebConfig = z.infer<typeof WebConfig>;

/** The parts of `127.0.0.1:9400` or `[::1]:9400`; undefined for anything else, host names too (they change what is bound). */
export function toSocketAddress(text: string): { hostname: string; port: number; loopback: boolean } | undefined {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([0-9a-fA-F:.]{2,45})\]):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535) return undefined;
  const host = match[1] ?? `[${match[2]}]`;
  // URL normalises and refuses addresses that are none; a leading zero would be read as octal there.
  const hostname = URL.parse(`http://${host}/`)?.hostname;
  if (hostname === undefined || (match[1] !== undefined && hostname !== host)) return undefined;
  return { hostname, port: Number(match[3]), loopback: hostname.startsWith("127.") || hostname === "[::1]" };
}
