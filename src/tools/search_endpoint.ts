import { toHttpNeed } from "#/core/http_need.ts";
import type { HttpCapability } from "#/core/http_need.ts";
import { LIMITS } from "#/core/limits.ts";
import type { WebSearchConfig } from "#/tools/config.ts";

/** Where a provider is when the person names no address; the component has the same (tools-wasm/web/search_provider.ts). */
const DEFAULT_BASES: Readonly<Record<WebSearchConfig["provider"], readonly string[]>> = {
  duckduckgo: ["https://html.duckduckgo.com/html/"],
  google: ["https://www.googleapis.com/customsearch/v1"],
  searxng: [],
};

/** A host that web_search asks. */
export type SearchHost = Pick<HttpCapability, "scheme" | "host" | "port" | "path">;

/** What a search may ask: every endpoint of the configured provider, each with its path. Throws AppError for an address that is none. Pure. */
export function toSearchNeeds(config: WebSearchConfig): readonly HttpCapability[] {
  const named = [config.base_url, ...config.base_urls?.split(",") ?? []].map((base) => base?.trim() ?? "");
  const bases = named.filter((base) => base !== "");
  return [...new Set(bases.length > 0 ? bases : DEFAULT_BASES[config.provider])].map((base) =>
    toHttpNeed(config.provider === "searxng" ? `${base.replace(/\/+$/, "")}/search` : base, {
      methods: ["GET"],
      scope: "tree",
      bytesUpMax: 0,
      bytesDownMax: LIMITS.searchAnswerBytesMax,
      redirectsMax: LIMITS.redirectsMax,
    })
  );
}

/** The same as hosts, for the rule of the shipped policy that allows them. Pure. */
export function toSearchHosts(config: WebSearchConfig): readonly SearchHost[] {
  return toSearchNeeds(config).map(({ scheme, host, port, path }) => ({ scheme, host, port, path }));
}
