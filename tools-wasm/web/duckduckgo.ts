import { ToolFailure } from "../sdk/execute.ts";
import { type HtmlSink, readAttributes, readHtml } from "./html.ts";
import type { Result } from "./search_provider.ts";

/** Classes of the two pages without scripts: html.duckduckgo.com/html/ and lite.duckduckgo.com/lite/. */
const TITLE = /(?:^|\s)result(?:__a|-link)(?:\s|$)/;
const SNIPPET = /(?:^|\s)result(?:__|-)snippet(?:\s|$)/;
/** More are never asked for. */
const RESULTS_MAX = 50;

/** Results of a page of DuckDuckGo, without its ads. Throws ToolFailure when it asks whether a person is there. */
export function parseDuckDuckGo(html: string): readonly Result[] {
  const found: { title: string; url: string; snippet: string }[] = [];
  let into:
    | { readonly field: "title" | "snippet"; readonly name: string }
    | undefined;
  const sink: HtmlSink = {
    get isFull() {
      return found.length > RESULTS_MAX;
    },
    open(name, tag) {
      if (into !== undefined || !tag.includes("result")) return;
      const attributes = readAttributes(tag);
      const classes = attributes.get("class") ?? "";
      if (name === "a" && TITLE.test(classes)) {
        found.push({
          title: "",
          url: toTarget(attributes.get("href") ?? ""),
          snippet: "",
        });
        into = { field: "title", name };
      } else if (found.length > 0 && SNIPPET.test(classes)) {
        into = { field: "snippet", name };
      }
    },
    close(name) {
      if (name === into?.name) into = undefined;
    },
    text(text) {
      if (into !== undefined) found.at(-1)![into.field] += text;
    },
  };
  readHtml(html, sink);
  if (found.length === 0 && /anomaly|captcha/i.test(html)) {
    throw new ToolFailure(
      "tool_failed",
      "DuckDuckGo wants to see a person: try later, or set another tools.web_search.provider",
    );
  }
  return found.filter(({ url }) => url !== "" && !/^https?:\/\/(?:[\w-]+\.)*duckduckgo\.com\/y\.js/i.test(url));
}

/** Where a result leads: its link is often a redirect of DuckDuckGo with the target in `uddg`. */
function toTarget(href: string): string {
  const absolute = href.startsWith("//") ? `https:${href}` : href;
  const target = /^https?:\/\/(?:[\w-]+\.)*duckduckgo\.com\/l\/\?(?:.*&)?uddg=([^&]+)/i.exec(
    absolute,
  )?.[1];
  if (target === undefined) return absolute;
  try {
    return decodeURIComponent(target);
  } catch {
    return "";
  }
}
