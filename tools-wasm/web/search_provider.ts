import { ToolFailure } from "../sdk/execute.ts";
import type { HttpRequest } from "../sdk/host.ts";
import { parseDuckDuckGo } from "./duckduckgo.ts";

/** One result as a provider gives it. */
export interface Result {
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

/** What is searched, and the person's settings of the section `web_search`. */
export interface Search {
  readonly query: string;
  readonly count: number;
  readonly freshness: "day" | "week" | "month" | "year" | undefined;
  setting(name: string): string | undefined;
}

/** One kind of search service. */
export interface Provider {
  /** Where it is when the person names no address. */
  readonly bases: readonly string[];
  toRequest(
    base: string,
    search: Search,
  ): Pick<HttpRequest, "url"> & Partial<Pick<HttpRequest, "secrets">>;
  /** Throws ToolFailure for what is no answer of this kind of service. */
  parse(text: string): readonly Result[];
}

/** Every provider, by its name in the config. Their addresses are known to src/tools/search_endpoint.ts as well, which grants them. */
export const PROVIDERS: Readonly<Record<string, Provider>> = {
  duckduckgo: {
    bases: ["https://html.duckduckgo.com/html/"],
    toRequest: (base, { query, freshness, setting }) => ({
      url: toUrl(base, {
        q: query,
        ...(freshness === undefined ? {} : { df: freshness[0]! }),
      }, setting),
    }),
    parse: parseDuckDuckGo,
  },
  // https://developers.google.com/custom-search/v1/reference/rest/v1/cse/list
  google: {
    bases: ["https://www.googleapis.com/customsearch/v1"],
    toRequest(base, { query, count, freshness, setting }) {
      const cx = setting("engine_id");
      if (cx === undefined) {
        throw new ToolFailure(
          "tool_failed",
          "google needs an engine id: tools.web_search.engine_id_env",
        );
      }
      const restrict = freshness === undefined ? {} : { dateRestrict: `${freshness[0]}1` };
      return {
        url: toUrl(
          base,
          { cx, q: query, num: String(count), ...restrict },
          setting,
        ),
        secrets: [{ header: "x-goog-api-key", name: "web_search" }],
      };
    },
    parse: (text) => toResults(text, "items", "link", "snippet"),
  },
  // https://docs.searxng.org/dev/search_api.html
  searxng: {
    bases: [],
    toRequest(base, { query, freshness, setting }) {
      const given: Record<string, string> = {
        q: query,
        format: "json",
        pageno: "1",
      };
      for (const name of ["engines", "categories", "safesearch"]) {
        const value = setting(name);
        if (value !== undefined) given[name] = value;
      }
      if (freshness !== undefined) given.time_range = freshness;
      return {
        url: toUrl(`${base.replace(/\/+$/, "")}/search`, given, setting),
      };
    },
    parse: (text) => toResults(text, "results", "url", "content"),
  },
};

/** `query_params` of the person win over ours. */
function toUrl(
  base: string,
  params: Record<string, string>,
  setting: Search["setting"],
): string {
  const all = new Map(Object.entries(params));
  for (const pair of setting("query_params")?.split("&") ?? []) {
    const at = pair.indexOf("=");
    const name = (at < 0 ? pair : pair.slice(0, at)).trim();
    if (name !== "") all.set(name, at < 0 ? "" : pair.slice(at + 1).trim());
  }
  const query = [...all].map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  return `${base}${base.includes("?") ? "&" : "?"}${query}`;
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** Results of a JSON answer. A field that is no text counts as empty. */
function toResults(
  text: string,
  list: string,
  url: string,
  snippet: string,
): readonly Result[] {
  const items = parseObject(text)[list] ?? [];
  const of = (item: unknown, field: string) => {
    const value = (item as Record<string, unknown> | null)?.[field];
    return typeof value === "string" ? value : "";
  };
  if (!Array.isArray(items)) {
    throw new ToolFailure("tool_failed", `its answer has no list of ${list}`);
  }
  return items.map((item) => ({
    title: of(item, "title"),
    url: of(item, url),
    snippet: of(item, snippet),
  }));
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) return parsed;
  } catch {
    // Said below, like an answer that is JSON and no object.
  }
  throw new ToolFailure(
    "tool_failed",
    "its answer is no JSON (SearXNG: add json to search.formats in settings.yml)",
  );
}
