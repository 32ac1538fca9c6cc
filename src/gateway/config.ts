import { z } from "zod";
import { count, envName, secretText } from "#/lib/field.ts";

/** `[gateway]`: bounds of one user. */
export const GatewayConfig = z.strictObject({
  max_sessions_per_user: count(100_000).default(50),
  max_concurrent_turns_per_user: count(1_000).default(10),
  session_idle_ttl_hours: count(1_000_000).default(48),
});
export type GatewayConfig = z.infer<typeof GatewayConfig>;

/** `[web]` of runner.toml: the configurator. `auth_mode = "token"` needs one of the two token keys. */
export const WebConfig = z.strictObject({
  enabled: z.boolean().default(true),
  bind: z.string().refine(
    (text) => toSocketAddress(text) !== undefined,
    "must be an address and a port, as 127.0.0.1:9400",
  )
    .default("127.0.0.1:9400"),
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
