import { AppError } from "#/core/error.ts";

/** Where each protocol is served: the vendor's own base URL, the version in its path, and the path of its one endpoint. */
const SHAPES = {
  openai: { vendor: "https://api.openai.com/v1", version: "/v1", endpoint: "/chat/completions" },
  openai_responses: { vendor: "https://api.openai.com/v1", version: "/v1", endpoint: "/responses" },
  anthropic: { vendor: "https://api.anthropic.com/v1", version: "/v1", endpoint: "/messages" },
  gemini: { vendor: "https://generativelanguage.googleapis.com/v1beta", version: "/v1beta", endpoint: "/models" },
} as const;

/** A protocol that is spoken over HTTP. */
export type Protocol = keyof typeof SHAPES;

/** A path that names its version itself: `/v1`, `/v1beta/openai`, `/api/paas/v4`. */
const VERSIONED = /\/v\d+[a-z0-9]*(\/|$)/i;
/** Azure's older paths name a deployment and carry the version in the query. */
const DEPLOYMENT = /\/deployments\/[^/]+$/;

/**
 * The one form of a `base_url`, without a trailing slash: `host`, `host/`, `host/v1` and `host/v1/` mean the same endpoint (SPEC §2); absent
 * it is the vendor's own. The version is added unless the path already names one or an Azure deployment. A URL that ends in the endpoint
 * is taken as it is, for vendors that serve no version. A query stays. Throws AppError `config_invalid`; the message never repeats a password.
 */
export function normalizeBaseUrl(baseUrl: string | undefined, protocol: Protocol): string {
  const { vendor, version, endpoint } = SHAPES[protocol];
  const url = parse((baseUrl ?? vendor).trim());
  const path = url.pathname.replace(/\/+$/, "");
  url.hash = "";
  if (path.endsWith(endpoint)) url.pathname = path.slice(0, -endpoint.length);
  else url.pathname = VERSIONED.test(path) || DEPLOYMENT.test(path) ? path : `${path}${version}`;
  const query = url.search;
  url.search = "";
  return url.href.replace(/\/+$/, "") + query;
}

/** True for a type that is reached over HTTP, so that it has a base URL. */
export function isProtocol(type: string): type is Protocol {
  return Object.hasOwn(SHAPES, type);
}

/** `path` below a normalized base URL, whose query stays behind it. */
export function joinUrl(baseUrl: string, path: string, query: Readonly<Record<string, string>> = {}): string {
  const url = new URL(baseUrl);
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

/** Host and port as `--allow-net` wants them, the scheme's own port written out. */
export function toNetTarget(baseUrl: string): string {
  const url = parse(baseUrl);
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}

/** The same for an entry as it is written; without a base URL it is the vendor's own host. */
export function toHost(baseUrl: string | undefined, protocol: Protocol): string {
  return toNetTarget(normalizeBaseUrl(baseUrl, protocol));
}

function parse(text: string): URL {
  const url = URL.parse(text);
  if (!url || !url.host) {
    throw new AppError("config_invalid", "base_url is not a URL; write it like https://api.openai.com/v1");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new AppError("config_invalid", `base_url must start with http:// or https://, not ${url.protocol}`);
  }
  // A password in a URL is printed by every error that names the URL.
  if (url.username || url.password) {
    const message = "base_url must not carry a user name or password; use api_key or extra_headers";
    throw new AppError("config_invalid", message);
  }
  return url;
}
