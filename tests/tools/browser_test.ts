import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { browser, BrowserArgs } from "#/tools/browser.ts";
import { toTools } from "#/tools/registry.ts";

const needs = (args: unknown) => browser.needs(BrowserArgs.parse(args));

Deno.test("browser needs what its action says, the host of a navigation, and the file of a picture", () => {
  for (const action of ["snapshot", "act", "text", "tabs", "health"]) {
    assert.deepEqual(needs({ action, url: "http://elsewhere.example", path: "/vault/x" }), [{
      kind: "browser",
      action,
    }]);
  }
  const [did, to] = needs({ action: "navigate", url: "https://Example.com:8443/a?b#c" });
  assert.deepEqual(did, { kind: "browser", action: "navigate" });
  assert.ok(to?.kind === "http");
  assert.deepEqual([to.scheme, to.host, to.port, to.path, to.methods], ["https", "example.com", 8443, "/a?b", ["GET"]]);
  const bytesMax = LIMITS.browserPictureBytesMax;
  const written = { kind: "fs.write", mode: "write", bytesMax };
  assert.deepEqual(needs({ action: "screenshot" })[1], { ...written, path: "/shared/screenshot.png" });
  assert.deepEqual(needs({ action: "screenshot", path: "/tmp//a.png" })[1], { ...written, path: "/tmp/a.png" });
});

Deno.test("browser refuses addresses that are no web page, and paths that are none", () => {
  for (
    const url of [
      "file:///etc/passwd",
      "chrome://version",
      "view-source:http://a",
      "data:text/html,x",
      "javascript:1",
      "http://u:p@a",
      "a",
      "",
    ]
  ) {
    const args = { action: "navigate", ...(url === "" ? {} : { url }) } as const;
    assert.throws(() => browser.needs(args), { code: "tool_args_invalid" }, url);
  }
  assert.throws(() => browser.needs({ action: "screenshot", path: "../x" }), { code: "path_invalid" });
  for (const args of [{}, { action: "eval" }, { action: "act", kind: "drag" }, { action: "tabs", headers: {} }]) {
    assert.ok(!BrowserArgs.safeParse(args).success, JSON.stringify(args));
  }
});

Deno.test("toTools() has browser only where there is one", () => {
  assert.ok(!toTools().has("browser"));
  assert.equal(toTools({ hasBrowser: true }).get("browser"), browser);
});
