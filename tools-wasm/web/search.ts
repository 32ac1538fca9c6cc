import { toFailure, ToolFailure } from "../sdk/execute.ts";
import type { WebHost } from "../sdk/host.ts";
import { cutToBytes, OUTPUT_BYTES_MAX, plural } from "../sdk/text.ts";
import { REQUEST_HEADERS, toExcerpt, toFenced, toLine } from "./fence.ts";
import { PROVIDERS, type Result, type Search } from "./search_provider.ts";

/** Arguments of web_search, parsed by the host. */
export interface SearchArgs {
  readonly query: string;
  readonly count?: number;
  readonly freshness?: "day" | "week" | "month" | "year";
}

const COUNT = 5;
const TITLE_CHARS_MAX = 200;
const SNIPPET_CHARS_MAX = 500;
const URL_CHARS_MAX = 1_024;

/** Numbered results with title, address and snippet, between marks. Asks each address of the provider until one answers. */
export function searchWeb(args: SearchArgs, host: WebHost): string {
  const setting = (name: string) => host.config.get(`web_search.${name}`)?.trim() || undefined;
  const name = setting("provider") ?? "duckduckgo";
  const provider = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]! : undefined;
  if (provider === undefined) {
    throw new ToolFailure(
      "tool_failed",
      `there is no search provider ${JSON.stringify(name)}`,
    );
  }
  const bases = [setting("base_url"), ...setting("base_urls")?.split(",") ?? []]
    .map((base) => base?.trim()).filter(isSet);
  const search: Search = {
    query: args.query.trim(),
    count: args.count ?? COUNT,
    freshness: args.freshness,
    setting,
  };
  const failures: string[] = [];
  for (const base of new Set(bases.length > 0 ? bases : provider.bases)) {
    try {
      const { url, secrets = [] } = provider.toRequest(base, search);
      const response = host.http.fetch({
        method: "get",
        url,
        headers: REQUEST_HEADERS,
        body: "",
        secrets,
      });
      if (response.status !== 200) {
        throw new ToolFailure(
          "tool_failed",
          `it answered ${response.status}${toExcerpt(response)}`,
        );
      }
      return toOutput(name, search, provider.parse(response.text), host);
    } catch (error) {
      const { code, message } = toFailure(error);
      // A denial is the person's word: the next address would only be denied as well.
      if (code === "tool_denied") throw error;
      host.log.write("warn", `web_search by ${name}: ${base}: ${message}`);
      failures.push(`${base}: ${message}`);
    }
  }
  throw new ToolFailure(
    "tool_failed",
    `the search failed. ${failures.join(". ") || `${name} has no address`}`,
  );
}

function toOutput(
  name: string,
  { query, count }: Search,
  results: readonly Result[],
  host: WebHost,
): string {
  const lines = results.filter(isUsable).slice(0, count).map(
    ({ title, url, snippet }, index) => {
      const text = toLine(snippet, SNIPPET_CHARS_MAX);
      return `${index + 1}. ${toLine(title, TITLE_CHARS_MAX) || "(no title)"}\n   ${url}${
        text === "" ? "" : `\n   ${text}`
      }`;
    },
  );
  const asked = JSON.stringify(toLine(query, TITLE_CHARS_MAX));
  if (lines.length === 0) {
    return `No results for ${asked} (${name}). Try other words.`;
  }
  const head = `${plural(lines.length, "result")} for ${asked} (${name}); web_fetch reads a page`;
  // 1 KiB for the head and the marks.
  return `${head}\n${
    toFenced(
      "results",
      cutToBytes(lines.join("\n\n"), OUTPUT_BYTES_MAX - 1_024),
      host.random,
    )
  }`;
}

/** Only addresses that web_fetch could take. */
function isUsable({ url }: Result): boolean {
  return /^https?:\/\/[^\s<>"]+$/i.test(url) && url.length <= URL_CHARS_MAX;
}

function isSet(base: string | undefined): base is string {
  return base !== undefined && base !== "";
}
