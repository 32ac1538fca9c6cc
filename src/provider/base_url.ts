import { AppError } from "#/core/error.ts";

const ENDPOINT = "/chat/completions";
/** A path that names its version itself: `/v1`, `/v1beta/openai`, `/api/paas/v4`. */
const VERSIONED = /\/v\d+[a-z0-9]*(\/|$)/i;
/** Azure's older paths name a deployment and carry the version in the query. */
const DEPLOYMENT = /\/deployments\/[^/]+$/;

/**
 * The one form of a `base_url`, without a trailing slash: `host`, `host/`, `host/v1` and `host/v1/` mean the same endpoint (SPEC §2).
 * `/v1` is added unless the path already names a version or an Azure deployment. A URL that ends in `/chat/completions` is taken
 * as it is, for vendors that serve no `/v1`. A query stays. Throws AppError `config_invalid`; the message never repeats a password.
 */
export function normalizeBaseUrl(baseUrl: string): string {
  const url = parse(baseUrl.trim());
  const path = url.pathname.replace(/\/+$/, "");
  url.hash = "";
  if (path.endsWith(ENDPOINT)) url.pathname = path.slice(0, -ENDPOINT.length);
  else url.pathname = VERSIONED.test(path) || DEPLOYMENT.test(path) ? path : `${path}/v1`;
  const query = url.search;
  url.search = "";
  return url.href.replace(/\/+$/, "") + query;
}

/** Host and port as `--allow-net` wants them, the scheme's own port written out. */
export function toNetTarget(baseUrl: string): string {
  const url = parse(baseUrl);
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
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
    throw new AppError(
      "config_invalid",
      "base_url must not carry a user name or password; use api_key or extra_headers",
    );
  }
  return url;
}
