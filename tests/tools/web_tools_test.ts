import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { WebSearchConfig } from "#/tools/config.ts";
import { toSearchHosts, toSearchNeeds } from "#/tools/search_endpoint.ts";
import { webFetch, WebFetchArgs } from "#/tools/web_fetch.ts";
import { toWebSearch, WebSearchArgs } from "#/tools/web_search.ts";

const GET = {
  kind: "http",
  scheme: "https",
  port: 443,
  methods: ["GET"],
  bytesUpMax: 0,
  bytesDownMax: LIMITS.searchAnswerBytesMax,
  redirectsMax: LIMITS.redirectsMax,
} as const;

Deno.test("web_fetch needs exactly the address that it was given, and random bytes for its marks", () => {
  assert.deepEqual(webFetch.needs({ url: "https://Example.com/a/../b?q=1#frag" }), [
    { ...GET, host: "example.com", path: "/b?q=1", scope: "exact", bytesDownMax: LIMITS.responseBytesMax },
    { kind: "random" },
  ]);
  for (const url of ["file:///etc/passwd", "example.com", "https://user:pw@example.com/", "javascript:alert(1)"]) {
    assert.throws(() => webFetch.needs({ url }), { code: "tool_args_invalid" }, url);
  }
});

Deno.test("web_search needs the endpoints of the chosen provider, and the key only for the one that has a key", () => {
  const needsOf = (config: unknown) => toWebSearch(WebSearchConfig.parse(config)).needs({ query: "q" });
  const rest = [{ kind: "config", section: "web_search" }, { kind: "random" }, { kind: "log" }];
  assert.deepEqual(needsOf({}), [{ ...GET, host: "html.duckduckgo.com", path: "/html/", scope: "tree" }, ...rest]);
  assert.deepEqual(needsOf({ provider: "google" }), [
    { ...GET, host: "www.googleapis.com", path: "/customsearch/v1", scope: "tree" },
    { kind: "secret", name: "web_search", hosts: ["www.googleapis.com"] },
    ...rest,
  ]);
  const searxng = {
    provider: "searxng",
    base_url: "http://a.example:8080/",
    base_urls: "https://b.example/sx, http://a.example:8080/",
  };
  assert.deepEqual(needsOf(searxng), [
    { ...GET, scheme: "http", host: "a.example", port: 8080, path: "/search", scope: "tree" },
    { ...GET, host: "b.example", path: "/sx/search", scope: "tree" },
    ...rest,
  ]);
  assert.deepEqual(needsOf({ provider: "searxng" }), rest);
});

Deno.test("toSearchHosts() names what a rule of the policy has to allow", () => {
  const config = WebSearchConfig.parse({ provider: "searxng", base_url: "http://a.example:8080/x/" });
  assert.deepEqual(toSearchHosts(config), [{ scheme: "http", host: "a.example", port: 8080, path: "/x/search" }]);
  assert.equal(toSearchNeeds(config).length, 1);
});

Deno.test("arguments of the web tools are strict and bounded", () => {
  const url = "https://example.com/";
  const isFetch = (value: unknown) => WebFetchArgs.safeParse(value).success;
  assert.ok(
    isFetch({ url, output_format: "markdown", max_body_chars: LIMITS.pageCharsMax, start_char: LIMITS.pageCharsMax }),
  );
  for (
    const wrong of [
      {},
      { url: "" },
      { url: "x".repeat(LIMITS.urlCharsMax + 1) },
      { url, output_format: "pdf" },
      { url, max_body_chars: 0 },
      { url, max_body_chars: LIMITS.pageCharsMax + 1 },
      { url, start_char: LIMITS.pageCharsMax + 1 },
      { url, method: "POST" },
      { url, headers: {} },
    ]
  ) assert.ok(!isFetch(wrong), JSON.stringify(wrong).slice(0, 80));
  const isSearch = (value: unknown) => WebSearchArgs.safeParse(value).success;
  assert.ok(isSearch({ query: "x".repeat(LIMITS.queryCharsMax), count: 10, freshness: "month" }));
  for (
    const wrong of [{ query: " \n" }, { query: "x".repeat(LIMITS.queryCharsMax + 1) }, { query: "q", count: 11 }, {
      query: "q",
      freshness: "hour",
    }, { query: "q", provider: "google" }]
  ) {
    assert.ok(!isSearch(wrong), JSON.stringify(wrong).slice(0, 80));
  }
});
