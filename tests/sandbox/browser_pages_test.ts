import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { openHostileSite } from "../fake/hostile_site.ts";
import { openPages } from "./browser_kit.ts";

const at = (url: string) => ({ action: "navigate", url }) as const;

Deno.test("Pages: what never ends is ended: redirects, moves, alerts, questions, loops, silence", async () => {
  await using site = openHostileSite();
  await using driven = await openPages({ navigateMs: 3_000, commandMs: 1_500 });
  const go = (path: string) => driven.run(at(site.url + path));
  assert.equal(await go("/redirects"), "tool_failed: The page was not loaded: net::ERR_TOO_MANY_REDIRECTS");
  assert.match(
    await go("/alerts"),
    /Tab t1 is closed\.\nThe page opened a dialog \(alert\): "again"; it was dismissed\.\nThe page kept opening dialogs/,
  );
  assert.match(await go("/asks"), /Tab t2: [^]*\(confirm\): "Sure\?"[^]*\(prompt\): "Name\?"/);
  assert.match(await driven.run({ action: "text" }), /"false,"/, "a question gets a no");
  assert.match(await go("/stays"), /A page/);
  assert.match(await go("/next"), /Next page/, "nothing keeps a tab from leaving");
  assert.match(
    await go("/moves"),
    /^Tab t2(: | is closed\.[^]*The page kept going to other pages; the tab was closed\.)/,
  );
  assert.match(await go("/busy"), /Tab t\d is closed\.[^]*The page did not answer; the tab was closed\./);
  assert.match(await go("/drips"), /There[^]*had not finished loading/);
  assert.match(await go("/silent"), /Tab t\d is closed\.\nThe page did not answer/);
  assert.match(await go("/next"), /Tab t\d: /);
});

Deno.test("Pages: a page is taken as far as it is bounded: elements, views, texts, windows, downloads", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  const go = (path: string) => driven.run(at(site.url + path));
  assert.match(await go("/huge"), /^tool_failed: The page has 250\d\d elements, more than 20000: read it/);
  const wide = await go("/wide");
  assert.ok(wide.length < LIMITS.browserViewCharsMax + 500, `${wide.length}`);
  assert.match(
    wide,
    /A large page: headings and what can be used[^]*link "Link 0" \[e1\][^]*\d+ more; scope the snapshot/,
  );
  const text = await driven.run({ action: "text" });
  assert.match(text, /Words of paragraph 0[^]*characters more: go on with start_char 12000/);
  assert.doesNotMatch(await driven.run({ action: "text", start_char: 12_000 }), /paragraph 0\n/);
  assert.match(
    await driven.run({ action: "snapshot", selector: "p:nth-of-type(3)" }),
    /^Tab t1: .*\n- paragraph\n {2}- text "Words of paragraph 2"$/,
  );
  assert.equal(
    await driven.run({ action: "snapshot", selector: "nav" }),
    "tool_failed: No element of the page fits that selector",
  );
  assert.equal(await driven.run({ action: "snapshot", selector: "[[" }), "tool_failed: That is no CSS selector");
  await go("/popups");
  for (let at = 0; at < 3; at++) await driven.run({ action: "act", kind: "click", ref: "e1801" });
  await driven.run({ action: "act", kind: "click", selector: "button" });
  const tabs = await driven.run({ action: "tabs" });
  assert.ok(tabs.split("\n").filter((line) => /^t\d+: /.test(line)).length <= LIMITS.browserTabsMax, tabs);
  assert.match(await go("/download"), /A download|offered a download|ERR_ABORTED/);
  assert.match(
    await driven.run({ action: "tabs" }),
    /offered a download, "evil\.sh" from http[^ ]*\/download; it was refused|t1/,
  );
});

Deno.test("Pages: tabs are named, opened on demand up to the limit, and told of", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  await driven.run(at(`${site.url}/next`));
  for (let at = 1; at < LIMITS.browserTabsMax; at++) {
    assert.match(await driven.run({ action: "navigate", url: `${site.url}/next?${at}`, tabId: "new" }), /^Tab t\d+: /);
  }
  assert.equal(
    await driven.run({ action: "navigate", url: site.url, tabId: "new" }),
    `tool_failed: ${LIMITS.browserTabsMax} tabs are open: use one of them by its tabId`,
  );
  assert.match(await driven.run({ action: "text", tabId: "t3" }), /\?2/);
  assert.match(await driven.run({ action: "text" }), /^Tab t3: /, "the one used last");
  assert.equal(
    await driven.run({ action: "text", tabId: "t99" }),
    "tool_failed: There is no such tab: see action tabs",
  );
  assert.match(await driven.run({ action: "health" }), /20 of 20 tabs/);
});

Deno.test("Pages: an address of the machine or of the browser is no page; a picture is a PNG; frames are seen", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  await driven.run(at(`${site.url}/files`));
  for (const id of ["file", "chrome", "source", "data"]) {
    const text = await driven.run({ action: "act", kind: "click", selector: `#${id}` });
    assert.match(text, new RegExp(`^Tab t1: ${site.url}/files\n|these are refused`), id);
  }
  for (const url of ["file:///etc/passwd", "chrome://version", "data:text/html,<h1>d", "javascript:1"]) {
    assert.match(await driven.run(at(url)), /^tool_failed: /, url);
  }
  await driven.run(at(`${site.url}/frame`));
  assert.match(
    await driven.run({ action: "snapshot" }),
    /heading "Outer"[^]*- frame "http[^]*\/next"\n- heading "Next page"/,
  );
  const { content } = await driven.pages.run({ action: "screenshot" });
  assert.deepEqual([...content.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
});

Deno.test("Pages: a page that changes itself is seen when it is quiet, and a diff says what changed", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  await driven.run(at(`${site.url}/spa`));
  const changed = await driven.run({ action: "act", kind: "click", selector: "button" });
  assert.match(changed, /\/spa\/two\nWhat changed:\n- heading "One"\n\+ heading "Two"$/);
  assert.match(await driven.run({ action: "snapshot", diff: true }), /\nnothing$/);
});

Deno.test("Pages: a browser that is gone fails what waits for it", async () => {
  await using site = openHostileSite();
  const driven = await openPages();
  const waiting = driven.run(at(`${site.url}/silent`));
  await site.until("GET /silent");
  await driven[Symbol.asyncDispose]();
  assert.equal(await waiting, "tool_crashed: The browser has ended; the next navigate starts a new one");
});
