import assert from "node:assert/strict";
import {
  AttachmentSaveConfig,
  BrowserConfig,
  ShellConfig,
  TOOL_NAMES,
  ToolsConfig,
  WebSearchConfig,
} from "#/tools/config.ts";

Deno.test("ToolsConfig has the reference's defaults", () => {
  const tools = ToolsConfig.parse({});
  assert.deepEqual(tools.shell.allow, ["*"]);
  assert.equal(tools.shell.command_timeout_secs, 60);
  assert.equal(tools.web_search.provider, "duckduckgo");
  assert.equal(AttachmentSaveConfig.parse({}).timeout_secs, 60);
  assert.equal(BrowserConfig.parse({}).enabled, true);
});

Deno.test("WebSearchConfig takes hosts with a port and addresses, no URLs, no blanks", () => {
  const allows = (host: string) => WebSearchConfig.safeParse({ egress_allowlist: [host] }).success;
  for (const host of ["localhost:8888", "192.168.1.50:9000", "searx.local", "[::1]:80", "::1", "fd00::1"]) {
    assert.ok(allows(host), host);
  }
  for (const host of ["", "http://x", "a b", "a/b", "*", "x:y", "x:123456", ":80"]) assert.ok(!allows(host), host);
  const bases = (base_urls: string) => WebSearchConfig.safeParse({ base_urls }).success;
  assert.ok(bases("https://a.example, https://b.example"));
  assert.ok(!bases("https://a.example,nope") && !bases(","));
  assert.ok(!WebSearchConfig.safeParse({ safesearch: 3 }).success);
});

Deno.test("ShellConfig takes names of variables, never an assignment", () => {
  assert.ok(ShellConfig.safeParse({ env_keys: ["NPM_TOKEN"] }).success);
  assert.ok(!ShellConfig.safeParse({ env_keys: ["NPM_TOKEN=x"] }).success);
  assert.ok(!ShellConfig.safeParse({ command_timeout_secs: 0 }).success);
});

Deno.test("TOOL_NAMES has each name once", () => {
  assert.equal(new Set(TOOL_NAMES).size, TOOL_NAMES.length);
  assert.ok(TOOL_NAMES.includes("file_read"));
});
