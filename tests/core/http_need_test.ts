import assert from "node:assert/strict";
import { DEFAULT_PORTS, toHttpNeed } from "#/core/http_need.ts";
import { describeCapability } from "#/sandbox/grant.ts";

Deno.test("toHttpNeed() takes an address apart as the platform does, and refuses what is none", () => {
  const rest = { methods: ["GET"], scope: "exact", bytesUpMax: 0, bytesDownMax: 1, redirectsMax: 0 } as const;
  const table: [string, string][] = [
    ["https://Example.COM/a/../b?x=1#frag", "http GET https://example.com/b?x=1"],
    ["http://example.com:80", "http GET http://example.com/"],
    ["http://example.com:8080/%2e%2e/x", "http GET http://example.com:8080/x"],
    ["https://[2001:DB8::1]/", "http GET https://[2001:db8::1]/"],
    ["http://0x7f.1/", "http GET http://127.0.0.1/"],
  ];
  for (const [url, words] of table) assert.equal(describeCapability(toHttpNeed(url, rest)), words);
  for (
    const url of [
      "",
      "example.com",
      "ftp://a/",
      "file:///etc/passwd",
      "https://user@a/",
      "https://:pw@a/",
      "javascript:1",
    ]
  ) {
    assert.throws(() => toHttpNeed(url, rest), { code: "tool_args_invalid" }, url);
  }
});

Deno.test("toHttpNeed() keeps the query for one address and drops it for a tree", () => {
  const rest = { methods: ["GET"], bytesUpMax: 0, bytesDownMax: 1, redirectsMax: 2 } as const;
  const url = "https://example.com/a/?q=1";
  assert.equal(toHttpNeed(url, { ...rest, scope: "exact" }).path, "/a/?q=1");
  assert.deepEqual(toHttpNeed(url, { ...rest, scope: "tree" }), {
    ...rest,
    kind: "http",
    scheme: "https",
    host: "example.com",
    port: DEFAULT_PORTS.https,
    path: "/a/",
    scope: "tree",
  });
});
