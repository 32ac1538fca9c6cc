import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { act, findNode } from "#/sandbox/browser_act.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import type { Tab } from "#/sandbox/browser_tab.ts";
import { openHostileSite } from "../fake/hostile_site.ts";
import { openPages } from "./browser_kit.ts";

Deno.test("act() does each of its kinds to a real page", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  await driven.run({ action: "navigate", url: site.url });
  const does = async (ask: Omit<BrowserAsk, "action">) => {
    const changed = await driven.run({ action: "act", ...ask });
    assert.match(changed, /^Tab t1: /, changed);
    const { body } = await driven.pages.run({ action: "text" });
    // The page writes what it was told last into its title.
    return /\n"(.*)"\n/.exec((body as { text: string }).text)![1]!;
  };
  assert.equal(await does({ kind: "type", selector: "#keys", text: "Hé😀" }), "keydown:é", "an emoji is no key");
  assert.match(await driven.run({ action: "snapshot", selector: "#keys" }), /value "Hé😀"/);
  assert.equal(await does({ kind: "press", key: "Control+a" }), "keydown:a");
  assert.equal(await does({ kind: "press", selector: "#keys", key: "Backspace" }), "keydown:Backspace");
  assert.doesNotMatch(await driven.run({ action: "snapshot", selector: "#keys" }), /value/);
  await does({ kind: "fill", selector: "#keys", text: "new" });
  await does({ kind: "fill", selector: "#keys", text: "newer" });
  assert.match(await driven.run({ action: "snapshot", selector: "#keys" }), /value "newer"/);
  await does({ kind: "fill", selector: "#keys", text: "" });
  assert.doesNotMatch(await driven.run({ action: "snapshot", selector: "#keys" }), /value/);
  assert.equal(await does({ kind: "select", selector: "select", value: "large" }), "change:large");
  assert.equal(await does({ kind: "focus", selector: "#far" }), "scroll:");
  assert.match(await does({ kind: "scroll", value: "-100000" }), /^scroll/);
  assert.match(await does({ kind: "scroll", selector: "#far" }), /^scroll/);
  assert.match(await does({ kind: "scroll" }), /^\w+:/);
  assert.match(await does({ kind: "hover", selector: "button" }), /^mouseover:/);
});

Deno.test("act() says what it lacks and what cannot be, and never passes on what a page says", async () => {
  await using site = openHostileSite();
  await using driven = await openPages();
  await driven.run({ action: "navigate", url: site.url });
  const does = (ask: Omit<BrowserAsk, "action">) => driven.run({ action: "act", ...ask });
  assert.equal(await does({}), "tool_args_invalid: action act needs a kind");
  assert.equal(await does({ kind: "click" }), "tool_args_invalid: This needs ref or selector");
  assert.equal(await does({ kind: "type", selector: "#keys" }), "tool_args_invalid: This needs text");
  assert.equal(await does({ kind: "press" }), "tool_args_invalid: This needs key");
  assert.equal(await does({ kind: "select", selector: "select" }), "tool_args_invalid: This needs value");
  for (const key of ["Ctrl+a", "Entr", "", "Shift+", "constructor", "toString+a"]) {
    assert.match(
      await does({ kind: "press", key }),
      /^tool_args_invalid: There is no such key\. There are: Enter, /,
      key,
    );
  }
  for (const value of ["down", "NaN", "1e9", "Infinity"]) {
    assert.match(await does({ kind: "scroll", value }), /^tool_args_invalid: value must be pixels/, value);
  }
  assert.equal(await does({ kind: "select", selector: "h1", value: "x" }), "tool_failed: That is no list of options");
  assert.equal(
    await does({ kind: "select", selector: "select", value: "huge" }),
    "tool_failed: The list has no such option",
  );
  assert.match(await does({ kind: "click", selector: "title" }), /^tool_failed: The element /);
  assert.match(
    await does({ kind: "focus", selector: "p" }),
    /^tool_failed: The element is not there any more, or cannot/,
  );
  assert.equal(
    await does({ kind: "click", ref: "e999" }),
    "tool_failed: e999 is of no element of this page as it is now: take a snapshot",
  );
  assert.equal(
    await does({ kind: "click", ref: "say 'yes'" }),
    "tool_failed: That ref is of no element of this page as it is now: take a snapshot",
  );
  await does({ kind: "type", selector: "#keys", text: "x".repeat(LIMITS.browserTypeCharsMax / 10) });
  assert.match(await driven.run({ action: "snapshot", selector: "#keys" }), /value "x{199}…"/);
});

Deno.test("findNode() takes a ref before a selector, and throws for neither", async () => {
  const tab = { nodeOf: (ref: string) => Number(ref.slice(1)) } as Tab;
  assert.equal(await findNode(tab, { ref: "e7", selector: "p" }), 7);
  await assert.rejects(findNode(tab, {}), { code: "tool_args_invalid" });
  await assert.rejects(act(tab, { action: "act" }), { code: "tool_args_invalid" });
});
