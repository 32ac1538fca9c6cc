import { AppError } from "#/core/error.ts";
import type { Capability } from "#/core/capability.ts";

/** The power to make requests. */
export type HttpCapability = Extract<Capability, { kind: "http" }>;

/** The port of an address that names none (RFC 9110 §4.2). */
export const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/** The capability that one request needs. Throws AppError `tool_args_invalid` for what is no http address without a user name. Pure. */
export function toHttpNeed(
  text: string,
  rest: Pick<HttpCapability, "methods" | "scope" | "bytesUpMax" | "bytesDownMax" | "redirectsMax">,
): HttpCapability {
  const url = URL.parse(text);
  const scheme = url?.protocol.slice(0, -1);
  if (url === null || (scheme !== "http" && scheme !== "https") || url.username !== "" || url.password !== "") {
    throw new AppError("tool_args_invalid", "The address must begin with http:// or https:// and hold no user name");
  }
  return {
    kind: "http",
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? DEFAULT_PORTS[scheme] : Number(url.port),
    methods: rest.methods,
    path: rest.scope === "exact" ? url.pathname + url.search : url.pathname,
    scope: rest.scope,
    bytesUpMax: rest.bytesUpMax,
    bytesDownMax: rest.bytesDownMax,
    redirectsMax: rest.redirectsMax,
  };
}
