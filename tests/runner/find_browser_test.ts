import assert from "node:assert/strict";
import { type BrowserNeeds, findBrowser } from "#/runner/find_browser.ts";
import type { WalledPart } from "#/runner/startup_status.ts";
import { BrowserConfig } from "#/tools/config.ts";

const UP: WalledPart = { available: true, by: "bubblewrap", about: "bubblewrap 9", notes: [] };

const toNeeds = (config: object = {}, more: Partial<BrowserNeeds> = {}): BrowserNeeds => ({
  config: BrowserConfig.parse(config),
  walls: UP,
  hasFile: (path) => path === "/usr/bin/google-chrome",
  ...more,
});

Deno.test("findBrowser() says where a browser is, or why there is none and what brings it", () => {
  const { by, about, notes, available } = findBrowser(toNeeds());
  assert.deepEqual([available, by, about], [true, "bubblewrap", "/usr/bin/google-chrome behind bubblewrap 9"]);
  assert.match(notes.join(), /own sandbox is off/);
  const why = (needs: BrowserNeeds) => {
    const { available, reason, install } = findBrowser(needs);
    assert.equal(available, false);
    return [reason, install];
  };
  assert.match(why(toNeeds({ enabled: false }))[0]!, /switched off/);
  assert.match(why(toNeeds({}, { enabled: false }))[0]!, /switched off/);
  assert.deepEqual(why(toNeeds({}, { hasFile: () => false })), ["no Chromium was found", "apt-get install chromium"]);
  const walls: WalledPart = { available: false, about: "x", reason: "no bwrap", install: "get it", notes: [] };
  assert.deepEqual(why(toNeeds({}, { walls })), ["no bwrap", "get it"]);
  const boxed = { walls: { ...UP, by: "container" as const }, hasFile: () => false };
  assert.match(findBrowser(toNeeds({}, boxed)).about, /of the image/);
  const own = findBrowser(toNeeds({ cdp_url: "http://127.0.0.1:9222" }, { walls }));
  assert.deepEqual([own.available, own.about], [true, "the browser at 127.0.0.1:9222"]);
  assert.match(own.notes.join(), /no walls of ours/);
});
